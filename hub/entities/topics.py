"""Who listens to which topic of found devices, what is subscribed for them, and what reading may cost."""

import asyncio
import time
from collections.abc import Callable

import structlog
from paho.mqtt.matcher import MQTTMatcher

from devices.wire.connection import Wire
from hub.entities.entity import Entity
from hub.entities.templating.templates import Payload

log = structlog.get_logger("entities")

MESSAGE_SECONDS = 0.05
MANY = 100
CHEAP_SECONDS = 0.002
REST_SECONDS = 10.0
TOPIC_SECONDS, ALL_SECONDS = 0.3, 1.5
"""What costly messages of one topic, and of all, may take of REST_SECONDS."""


Listen = Callable[[Payload, bool], None]
"""What is called with a message of one topic, and whether the broker had kept it."""


class Budget:
    """Seconds that may be spent within each span of time."""

    __slots__ = ("_began", "_most", "_spent")

    def __init__(self, most: float) -> None:
        self._most = most
        self._began = 0.0
        self._spent = 0.0

    def spend(self, seconds: float) -> bool:
        """False when it was too much."""
        now = time.monotonic()
        if now - self._began > REST_SECONDS:
            self._began, self._spent = now, 0.0
        self._spent += seconds
        return self._spent <= self._most


class Group(list[Listen]):
    """Who listens to one topic filter, and what their reading costs."""

    __slots__ = ("budget", "is_metered", "resting_until")

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(TOPIC_SECONDS)
        self.is_metered = False
        """Somebody's template runs, or there are many: worth a look at the clock for each message."""
        self.resting_until = 0.0


class Topics:
    """`listen` and `unlisten`; the subscriptions follow, together, once a turn of the loop."""

    def __init__(self, too_costly: Callable[[Entity, str], None]) -> None:
        """`too_costly` is told each entity whose topic rests for a while, and the words for it."""
        self._too_costly = too_costly
        self._wire: Wire | None = None
        self._groups: dict[str, Group] = {}
        self._budget = Budget(ALL_SECONDS)
        self._wild = MQTTMatcher()  # type: ignore[no-untyped-call]
        self._wild_filters: set[str] = set()
        self._to_subscribe: dict[str, int] = {}
        self._to_unsubscribe: set[str] = set()

    def attach(self, wire: Wire) -> None:
        self._wire = wire

    def group(self, topic_filter: str) -> Group | None:
        return self._groups.get(topic_filter)

    def hand(self, topic: str, raw: bytes, *, retained: bool) -> None:
        """To all that listen to it."""
        group = self._groups.get(topic)
        if group is not None:
            self._hand(group, Payload(raw), retained=retained)
        elif self._wild_filters:
            for wild in list(self._wild.iter_match(topic)):  # type: ignore[no-untyped-call]
                self._hand(wild, Payload(raw), retained=retained)

    def _hand(self, group: Group, payload: Payload, *, retained: bool) -> None:
        """Each by itself; a topic whose messages cost too much rests for a while."""
        if not group.is_metered:
            for listen in tuple(group) if len(group) > 1 else group:
                _read(listen, payload, retained=retained)
            return
        if group.resting_until > time.monotonic():
            return
        began = time.thread_time()  # what the machine does elsewhere costs this topic nothing
        for listen in tuple(group):
            _read(listen, payload, retained=retained)
            if time.thread_time() - began > MESSAGE_SECONDS:
                break
        took = time.thread_time() - began
        if took > CHEAP_SECONDS and not (group.budget.spend(took) and self._budget.spend(took)):
            group.resting_until = time.monotonic() + REST_SECONDS
            log.warning("topic_rate_limited", seconds=REST_SECONDS, listeners=len(group))
            for listen in group:
                if (entity := getattr(listen, "entity", None)) is not None:
                    self._too_costly(entity, "reading it takes too much time: it is read again later")

    def listen(self, topic: str, qos: int, listen: Listen) -> None:
        """Also where the topic is subscribed already: subscribing again brings what the broker has kept."""
        group = self._groups.get(topic)
        if group is None:
            group = self._groups[topic] = Group()
            if "+" in topic or "#" in topic:
                self._wild[topic] = group  # as in hub/devices/mqtt.py: paho's tree
                self._wild_filters.add(topic)
        group.append(listen)
        group.is_metered = group.is_metered or getattr(listen, "costs", False) or len(group) > MANY
        self._to_unsubscribe.discard(topic)
        self._subscribe_soon()
        self._to_subscribe[topic] = max(qos, self._to_subscribe.get(topic, 0))

    def unlisten(self, topic: str, is_gone: Callable[[Listen], bool]) -> None:
        group = self._groups.get(topic)
        if group is None:
            return
        group[:] = [listen for listen in group if not is_gone(listen)]
        if not group:
            del self._groups[topic]
            if topic in self._wild_filters:
                self._wild_filters.discard(topic)
                del self._wild[topic]  # type: ignore[no-untyped-call]
            self._to_subscribe.pop(topic, None)
            self._subscribe_soon()
            self._to_unsubscribe.add(topic)

    def _subscribe_soon(self) -> None:
        if not self._to_subscribe and not self._to_unsubscribe:
            asyncio.get_running_loop().call_soon(self._subscribe)

    def _subscribe(self) -> None:
        subscribe, self._to_subscribe = self._to_subscribe, {}
        unsubscribe, self._to_unsubscribe = self._to_unsubscribe, set()
        if self._wire is not None:
            self._wire.unsubscribe(unsubscribe)
            self._wire.subscribe_all(subscribe)


def _read(listen: Listen, payload: Payload, *, retained: bool) -> None:
    try:
        listen(payload, retained)
    except Exception as error:  # noqa: BLE001 (one listener must not cost the others)
        log.error("message_unreadable", error=type(error).__name__)  # noqa: TRY400 (it may quote)
