"""Announcements that may be of another account than whose the device is: not believed, and put back in the broker.

They are retained: without putting back what is believed, the hub's next start would find nothing else.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.entities.discovery import Announcement, DiscoveryError
from hub.entities.entity import Entity
from hub.entities.ownership import Ownership

if TYPE_CHECKING:
    from devices.wire.connection import Wire

PUT_BACK_SECONDS = 600
"""At once, and then no more often than this: two who disagree do not fight over the topic."""


@dataclass(slots=True)
class Doubted:
    put_back_at: float | None = None
    """By the monotonic clock."""
    stands: bool = True
    """In the broker, instead of what is believed."""


class Doubts:
    def __init__(self, ownership: Ownership) -> None:
        self.wire: Wire | None = None
        self.topics: dict[str, Doubted] = {}
        self._ownership = ownership
        self._believed: dict[str, bytes] = {}
        """Topic → its announcement, where something of it is somebody's."""

    def is_put_back(self, topic: str, raw: bytes) -> bool:
        """Whether this is our own, coming back to us."""
        return topic in self.topics and raw == self._believed.get(topic)

    def why(self, announcement: Announcement, here: Mapping[str, Entity]) -> str | None:
        """Why it is not believed: it takes something of somebody's away, or has it elsewhere. None when it is."""
        named = {one.key: one.config for one in announcement.components}
        try:
            for key, entity in here.items():
                if (config := named.get(key)) is not None:
                    self._ownership.must_replace(announcement.topic, entity.config, config)
                else:
                    self._ownership.must_withdraw(announcement.topic, entity.id, entity.config)
        except DiscoveryError as error:
            return str(error)
        return None

    def believe(self, topic: str, raw: bytes, entities: Iterable[Entity]) -> None:
        """What the topic says now, and what there is by it."""
        self.forget(topic)
        if any(self._ownership.of(one.config) for one in entities):
            self._believed[topic] = raw

    def doubt(self, topic: str) -> None:
        one = self.topics.setdefault(topic, Doubted())
        one.stands = True
        if one.put_back_at is None:
            self._put_back(topic, one)

    def forget(self, topic: str) -> None:
        self.topics.pop(topic, None)
        self._believed.pop(topic, None)

    def put_back(self, now: float) -> None:
        """Those whose time has come. Call it now and then."""
        for topic, one in self.topics.items():
            if one.stands and (one.put_back_at is None or now - one.put_back_at > PUT_BACK_SECONDS):
                self._put_back(topic, one)

    def _put_back(self, topic: str, one: Doubted) -> None:
        believed = self._believed.get(topic)
        if believed is not None and self.wire is not None and self.wire.publish(topic, believed, qos=1, retain=True):
            one.put_back_at, one.stands = time.monotonic(), False
