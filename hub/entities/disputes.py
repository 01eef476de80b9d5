"""Disputed announcements: they may come from another account than the one that owns the device.

They are not applied, and the accepted announcement is published again in their place: announcements are retained, so
the hub would otherwise find only the disputed one at its next start.
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

RESTORE_SECONDS = 600
"""Restored at once, and then no more often than this, so that two publishers do not fight over the topic."""


@dataclass(slots=True)
class Disputed:
    restored_at: float | None = None
    """By the monotonic clock."""
    is_in_broker: bool = True
    """The disputed announcement is retained in the broker, in place of the accepted one."""


class Disputes:
    def __init__(self, ownership: Ownership) -> None:
        self.wire: Wire | None = None
        self.topics: dict[str, Disputed] = {}
        self._ownership = ownership
        self._accepted: dict[str, bytes] = {}
        """Topic → accepted announcement, for topics with an entity that an account owns."""

    def is_own_restore(self, topic: str, raw: bytes) -> bool:
        """Whether this is our own publication, received back from the broker."""
        return topic in self.topics and raw == self._accepted.get(topic)

    def objection(self, announcement: Announcement, entities: Mapping[str, Entity]) -> str | None:
        """Why the announcement is not accepted: it removes or redirects an entity of another account. None if it is.

        `entities`: those that the topic announced before, by component key.
        """
        announced = {component.key: component.config for component in announcement.components}
        try:
            for key, entity in entities.items():
                if (config := announced.get(key)) is not None:
                    self._ownership.require_same_owner(announcement.topic, entity.config, config)
                else:
                    self._ownership.require_sole_announcer(announcement.topic, entity.id, entity.config)
        except DiscoveryError as error:
            return str(error)
        return None

    def accept(self, topic: str, raw: bytes, entities: Iterable[Entity]) -> None:
        """Remember the announcement, and the entities that it resulted in, as the accepted one."""
        self.forget(topic)
        if any(self._ownership.of(entity.config) for entity in entities):
            self._accepted[topic] = raw

    def dispute(self, topic: str) -> None:
        disputed = self.topics.setdefault(topic, Disputed())
        disputed.is_in_broker = True
        if disputed.restored_at is None:
            self._restore(topic, disputed)

    def forget(self, topic: str) -> None:
        self.topics.pop(topic, None)
        self._accepted.pop(topic, None)

    def restore_due(self, now: float) -> None:
        """Restore the accepted announcements that are due; call it regularly."""
        for topic, disputed in self.topics.items():
            if not disputed.is_in_broker:
                continue
            if disputed.restored_at is None or now - disputed.restored_at > RESTORE_SECONDS:
                self._restore(topic, disputed)

    def _restore(self, topic: str, disputed: Disputed) -> None:
        accepted = self._accepted.get(topic)
        if accepted is not None and self.wire is not None and self.wire.publish(topic, accepted, qos=1, retain=True):
            disputed.restored_at, disputed.is_in_broker = time.monotonic(), False
