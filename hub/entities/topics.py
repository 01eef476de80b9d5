"""Dispatches messages of found devices to listeners, subscribes to their topics, and limits the time they may take."""

import asyncio
import time
from collections.abc import Callable

import structlog
from paho.mqtt.matcher import MQTTMatcher

from devices.wire.connection import Wire
from hub.entities.entity import Entity
from hub.entities.templating.templates import Payload

log = structlog.get_logger("entities")

MAX_MESSAGE_SECONDS = 0.05
METERED_LISTENERS = 100
FREE_SECONDS = 0.002
REST_SECONDS = 10.0
TOPIC_SECONDS, ALL_SECONDS = 0.3, 1.5
"""Seconds that costly messages of one topic, and of all topics, may take in each REST_SECONDS."""


Listen = Callable[[Payload, bool], None]
"""Called with a message, and whether it was retained."""


class Budget:
    """The seconds that may be spent in each REST_SECONDS."""

    __slots__ = ("_began", "_most", "_spent")

    def __init__(self, most: float) -> None:
        self._most = most
        self._began = 0.0
        self._spent = 0.0

    def spend(self, seconds: float) -> bool:
        """False if the budget is exceeded."""
        now = time.monotonic()
        if now - self._began > REST_SECONDS:
            self._began, self._spent = now, 0.0
        self._spent += seconds
        return self._spent <= self._most


class Group(list[Listen]):
    """The listeners of one topic filter, and the time they take."""

    __slots__ = ("budget", "is_metered", "resting_until")

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(TOPIC_SECONDS)
        self.is_metered = False
        """A template runs, or there are many listeners: the time of each message is measured."""
        self.resting_until = 0.0


class Topics:
    """`listen` and `unlisten`; subscriptions are sent in one batch for each iteration of the event loop."""

    def __init__(self, too_costly: Callable[[Entity, str], None]) -> None:
        """`too_costly` is called with each entity whose topic is rate limited, and the reason."""
        self._too_costly = too_costly
        self._wire: Wire | None = None
        self._groups: dict[str, Group] = {}
        self._budget = Budget(ALL_SECONDS)
        self._wildcard_groups = MQTTMatcher()  # type: ignore[no-untyped-call]
        self._wildcard_filters: set[str] = set()
        self._to_subscribe: dict[str, int] = {}
        self._to_unsubscribe: set[str] = set()

    def attach(self, wire: Wire) -> None:
        self._wire = wire

    def group(self, topic_filter: str) -> Group | None:
        return self._groups.get(topic_filter)

    def dispatch(self, topic: str, raw: bytes, *, retained: bool) -> None:
        """Call all listeners of the topic."""
        group = self._groups.get(topic)
        if group is not None:
            self._dispatch(group, Payload(raw), retained=retained)
        elif self._wildcard_filters:
            for group in list(self._wildcard_groups.iter_match(topic)):  # type: ignore[no-untyped-call]
                self._dispatch(group, Payload(raw), retained=retained)

    def _dispatch(self, group: Group, payload: Payload, *, retained: bool) -> None:
        """Call each listener; a topic whose messages take too much time is ignored for REST_SECONDS."""
        if not group.is_metered:
            for listen in tuple(group) if len(group) > 1 else group:
                _read(listen, payload, retained=retained)
            return
        if group.resting_until > time.monotonic():
            return
        began = time.thread_time()  # the thread's own time: other load on the machine does not count
        for listen in tuple(group):
            _read(listen, payload, retained=retained)
            if time.thread_time() - began > MAX_MESSAGE_SECONDS:
                break
        seconds = time.thread_time() - began
        if seconds > FREE_SECONDS and not (group.budget.spend(seconds) and self._budget.spend(seconds)):
            group.resting_until = time.monotonic() + REST_SECONDS
            log.warning("topic_rate_limited", seconds=REST_SECONDS, listeners=len(group))
            for listen in group:
                if (entity := getattr(listen, "entity", None)) is not None:
                    self._too_costly(entity, "reading it takes too much time: it is read again later")

    def listen(self, topic: str, qos: int, listen: Listen) -> None:
        """Subscribes even if the topic is subscribed to already: the broker then sends retained messages again."""
        group = self._groups.get(topic)
        if group is None:
            group = self._groups[topic] = Group()
            if "+" in topic or "#" in topic:
                self._wildcard_groups[topic] = group  # as in hub/devices/mqtt.py: paho's tree
                self._wildcard_filters.add(topic)
        group.append(listen)
        group.is_metered = group.is_metered or getattr(listen, "is_costly", False) or len(group) > METERED_LISTENERS
        self._to_unsubscribe.discard(topic)
        self._subscribe_soon()
        self._to_subscribe[topic] = max(qos, self._to_subscribe.get(topic, 0))

    def unlisten(self, topic: str, matches: Callable[[Listen], bool]) -> None:
        group = self._groups.get(topic)
        if group is None:
            return
        group[:] = [listen for listen in group if not matches(listen)]
        if not group:
            del self._groups[topic]
            if topic in self._wildcard_filters:
                self._wildcard_filters.discard(topic)
                del self._wildcard_groups[topic]  # type: ignore[no-untyped-call]
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
    except Exception as error:  # noqa: BLE001 (a failing listener must not affect the others)
        log.error("message_unreadable", error=type(error).__name__)  # noqa: TRY400 (it may quote)
