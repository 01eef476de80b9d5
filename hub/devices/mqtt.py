"""The hub's side of MQTT: one routing table from topic filters to handlers with validated models."""

import asyncio
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
import structlog
from paho.mqtt.matcher import MQTTMatcher
from prometheus_client import Counter
from pydantic import TypeAdapter, ValidationError

from devices.contract import alive
from devices.contract.alive import Heartbeat, Status
from devices.contract.channels import Channel
from devices.contract.payload import MAX_PAYLOAD_BYTES, Id, Payload
from devices.contract.topics import Topic, branch, parse, topic
from devices.wire.connection import Received, Wire
from hub.devices.registry import Device, Devices
from hub.hooks.asking import Blame
from hub.hooks.guard import SaidError, at_once, guarded, ours
from hub.hooks.limits import Allowance, Limiter
from hub.hooks.patience import Patience

log = structlog.get_logger("mqtt")

M = TypeVar("M", bound=Payload)
HUB = "hub"
"""Receives signs of life, which need no handler."""
HANDLER_SECONDS = 10
MOST_AT_ONCE = 20_000
MOST_REMEMBERED = 1_000
DEVICE_MESSAGES, DEVICE_SECONDS = 200, 1.0
"""One device may say so much in so long; what is above is not even looked at, so that the others are heard."""
SENDS_PER_SECOND = 500.0
SENDS_AT_ONCE = 200.0
SENDS_PER_DEVICE = 5.0
SENDS_PER_MESSAGE = 4.0
"""What a plugin may publish: a base, some for every device at once, and answers to what it is told."""
REFUSALS_TOLD, REFUSALS_SECONDS = 5, 60.0
"""So many refusals of one device are told in the log; all are counted, also on its page."""
MOST_WHAT = 60
FLOOD = 200
"""So many refused publications are one failure of the plugin."""
SETTLING_SECONDS = 0.7
"""After a connection has come back: so long the broker hands over what has waited for it."""
_ID = TypeAdapter(Id)

received_total = Counter("mqtt_received_total", "Messages from devices", ["kind", "what"])
refused_total = Counter("mqtt_refused_total", "Messages from devices that were refused", ["kind", "why"])


@dataclass(frozen=True, slots=True)
class Incoming(Generic[M]):
    device: Device
    message: M
    read_at: float = 0.0
    """By `time.monotonic`."""
    has_waited: bool = False
    """Or may have: it came in the first moments of a connection, or the broker says so."""


@dataclass(frozen=True, slots=True)
class _Route:
    plugin: str
    what: str
    model: type[Payload]
    take: Callable[[Incoming[Any]], Awaitable[None]]
    takes_retained: bool
    on_malformed: Callable[[Device, str], None] | None


class _RefusedError(Exception):
    """Why a message is not taken."""


class UndeclaredMessageError(LookupError):
    """A message is sent that no table of channels has, or with another model than the table says."""


class PayloadTooLargeError(ValueError):
    """A message of ours is larger than a browser's broker connection carries."""


class Mqtt:
    """Give it a wire with `attach`; until then, and while the broker is away, sending answers False."""

    def __init__(
        self, root: str, site: str, devices: Devices, blame: Blame, elsewhere: Callable[[Received], None]
    ) -> None:
        """`elsewhere` gets what is not below our root, and acknowledges it."""
        self.wire: Wire | None = None
        self._below_root = f"{root}/"
        self._elsewhere = elsewhere
        self._root = root
        self._site = site
        self._devices = devices
        self._blame = blame
        self._routes = MQTTMatcher()  # type: ignore[no-untyped-call]
        self._matched: dict[tuple[str, str, str], _Route | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._filters: list[str] = []
        self._said = Limiter(DEVICE_MESSAGES, DEVICE_SECONDS)
        self._may_send: dict[str, Allowance] = {}
        self._not_sent: Tally[str] = Tally()
        self._told = Limiter(REFUSALS_TOLD, REFUSALS_SECONDS)
        self.kinds: set[str] = set()
        self.channels: dict[tuple[str | None, str, str], Channel] = {}
        """By kind, direction and what: all that is said between the hub and its devices, as far as plugins speak."""
        self._spoken: dict[str, list[tuple[str | None, str, str]]] = {}
        self.speak(alive.CHANNELS)

    def attach(self, wire: Wire) -> None:
        self.wire = wire
        wire.subscribe(f"{self._root}/{self._site}/+/+/up/#")

    def speak(self, channels: Iterable[Channel], plugin: str = "hub") -> None:
        """Declare messages: what is sent must be among them. Raises ValueError for a topic with two meanings."""
        for one in channels:
            key = (one.kind, one.direction, one.what)
            if key not in self.channels:
                self._spoken.setdefault(plugin, []).append(key)
            if self.channels.setdefault(key, one) != one:
                raise ValueError(f"{one.kind}/+/{one.direction}/{one.what} is declared by another plugin already")

    def receive(
        self,
        plugin: str,
        kind: str,
        what: str,
        model: type[M],
        take: Callable[[Incoming[M]], Awaitable[None]],
        *,
        takes_retained: bool = False,
        on_malformed: Callable[[Device, str], None] | None = None,
    ) -> None:
        topic_filter = topic(self._root, self._site, kind, "+", "up", what)
        if topic_filter in self._filters:
            raise ValueError(f"{topic_filter} is received by another plugin already")
        self._filters.append(topic_filter)
        self.kinds.add(kind)
        if self._channel(kind, "up", what) is None:
            self.speak([Channel("up", what, model, f"for the plugin {plugin}", kind=kind)], plugin)
        self._routes[topic_filter] = _Route(plugin, what, model, take, takes_retained, on_malformed)
        self._matched.clear()

    def forget(self, plugin: str) -> None:
        """The plugin receives no more; another may take its topics, or the same one when it starts again."""
        for topic_filter in [one for one in self._filters if self._routes[one].plugin == plugin]:
            self._filters.remove(topic_filter)
            del self._routes[topic_filter]  # type: ignore[no-untyped-call]
        for key in self._spoken.pop(plugin, ()):
            self.channels.pop(key, None)
        self._matched.clear()

    def topics_of(self, plugin: str) -> list[str]:
        """What it says and hears, from the kind on."""
        spoken = [f"{kind or '+'}/+/{direction}/{what}" for kind, direction, what in self._spoken.get(plugin, ())]
        heard = [one.split("/", 2)[2] for one in self.filters_of(plugin)]
        return sorted({*spoken, *heard})

    def filters_of(self, plugin: str) -> list[str]:
        return [one for one in self._filters if self._routes[one].plugin == plugin]

    def send(
        self,
        plugin: str,
        device: Device,
        what: str,
        message: Payload | None,
        *,
        retain: bool | None = None,
    ) -> bool:
        """As the channel's declaration says. False: the broker is away, the device shut out, or the plugin floods.

        Raises PayloadTooLargeError or UndeclaredMessageError.
        """
        channel = self._channel(device.kind, "down", what)
        if channel is None or not isinstance(message, channel.model | None):
            raise UndeclaredMessageError(f"{type(message).__name__} on {device.kind}/+/down/{what}")
        if self.wire is not None and not self._may(plugin):
            return False
        if self._devices.get(device.id) is None:
            return False  # what it was sent has been cleared, and must stay so
        payload = b"" if message is None else message.encoded()
        if len(payload) > channel.most_bytes:
            raise PayloadTooLargeError(
                f"{what} for {device.id} has {len(payload)} bytes, at most {channel.most_bytes} pass"
            )
        if self.wire is None:
            return False
        return self.wire.publish(
            topic(self._root, self._site, device.kind, device.id, "down", what),
            payload,
            qos=channel.qos,
            retain=channel.retained if retain is None else retain,
            expiry_seconds=channel.expiry_seconds,
        )

    def _may(self, plugin: str) -> bool:
        allowance = self._may_send.get(plugin)
        if allowance is None:
            most = SENDS_AT_ONCE + SENDS_PER_DEVICE * sum(1 for _ in self._devices)
            allowance = self._may_send[plugin] = Allowance(SENDS_PER_SECOND, most)
        if allowance.take():
            return True
        self._not_sent[plugin] += 1
        if self._not_sent[plugin] % FLOOD == 0:
            self._blame.failed(
                plugin, "sending", SaidError(f"floods the broker, {self._not_sent[plugin]} messages were not sent")
            )
        return False

    def clear(self, device: Device) -> None:
        """Take what is retained of a device that is shut out away from the broker, as far as we are connected."""
        if self.wire is None or self._devices.get(device.id) is not None:
            return
        for one in list(self.channels.values()):
            if one.retained and one.kind in (None, device.kind):
                name = topic(self._root, self._site, device.kind, device.id, one.direction, one.what)
                self.wire.publish(name, b"", qos=1, retain=True)

    def branch(self, device: Device) -> str:
        return branch(self._root, self._site, device.kind, device.id)

    def _channel(self, kind: str, direction: str, what: str) -> Channel | None:
        return self.channels.get((kind, direction, what)) or self.channels.get((None, direction, what))

    async def close(self) -> None:
        """Let what has begun finish; the wire must bring nothing more."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=HANDLER_SECONDS)

    # -- the way in

    def take(self, received: Received) -> None:
        """Called by the wire. What is refused is acknowledged too: it would not get better."""
        if not received.topic.startswith(self._below_root):
            return self._elsewhere(received)
        parts = parse(self._root, received.topic)
        if parts is None or parts.direction != "up" or not received.payload:
            return self._done(received)  # not for us, or somebody cleared a retained message
        if self._said.wait_seconds(parts.device):
            return self._flooded(received, parts)
        try:
            route, incoming = self._accepted(received, parts)
        except _RefusedError as refused:
            return self._refuse(received, parts, str(refused))
        received_total.labels(parts.kind, route.what).inc()
        self._take_sign_of_life(incoming, is_old=received.retained)
        if route.plugin == HUB:
            return self._done(received)
        return self._start(route, received, incoming)

    def _has_waited(self, received: Received, parts: Topic) -> bool:
        channel = self._channel(parts.kind, "up", parts.what)
        lasts = channel.expiry_seconds if channel else None
        is_late = lasts is not None and received.expires_in is not None and received.expires_in < lasts
        return is_late or received.connected_seconds < SETTLING_SECONDS

    def _take_sign_of_life(self, incoming: Incoming[Any], *, is_old: bool) -> None:
        """At once and in the order of arrival: a last will and the heartbeat after it may come in one read."""
        message = incoming.message
        if isinstance(message, Status) and not message.online:
            self._devices.goodbye(incoming.device)  # the broker's word: no sign of life
        elif not is_old:
            self._devices.heard(incoming.device, message if isinstance(message, Heartbeat) else None)

    def _accepted(self, received: Received, parts: Topic) -> tuple[_Route, Incoming[Any]]:
        device = self._devices.get(parts.device)
        if device is None or device.kind != parts.kind:
            raise _RefusedError("unknown device")
        route = self._route(received.topic, parts)
        if route is None:
            raise _RefusedError("unknown topic")
        if len(received.payload) > MAX_PAYLOAD_BYTES:
            raise _RefusedError("too large")
        if received.retained and not route.takes_retained:
            raise _RefusedError("retained")
        if len(self._tasks) > MOST_AT_ONCE and received.qos == 0:
            raise _RefusedError("too many at once")
        owner, times = self._blame.owner(route.plugin), (received.read_at, self._has_waited(received, parts))
        try:
            if owner is None:
                return route, Incoming(device, route.model.model_validate_json(received.payload), *times)
            return route, Incoming(device, at_once(owner, route.model.model_validate_json, received.payload), *times)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            if route.on_malformed is not None and (message_id := _id_in(received.payload)):
                self._tell_malformed(route, route.on_malformed, device, message_id)
            field = first["loc"][0] if first["loc"] else None
            where = field if field in route.model.model_fields else "payload"  # a key may be of the device's choosing
            raise _RefusedError(f"malformed: {where}: {first['type']}") from None
        except Exception as error:  # noqa: BLE001 (a plugin's model may have validators that raise anything)
            self._blame.failed(route.plugin, f"message {device.kind}/{route.what}", error)
            raise _RefusedError("the plugin's model failed") from None

    def _tell_malformed(
        self, route: _Route, tell: Callable[[Device, str], None], device: Device, message_id: str
    ) -> None:
        owner = self._blame.owner(route.plugin)
        if owner is None or self._blame.is_quarantined(route.plugin):
            return
        try:
            at_once(owner, tell, device, message_id)
        except Exception as error:  # noqa: BLE001 (isolation)
            self._blame.failed(route.plugin, f"malformed {device.kind}/{route.what}", error)

    def _start(self, route: _Route, received: Received, incoming: Incoming[Any]) -> None:
        """Handlers start in the order of arrival and run side by side, so that a burst shares commits."""
        if allowance := self._may_send.get(route.plugin):
            allowance.earn(SENDS_PER_MESSAGE)
        task = ours(self._handle(route, received, incoming))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, route: _Route, received: Received, incoming: Incoming[Any]) -> None:
        if self._blame.is_quarantined(route.plugin):
            return self._done(received)  # no receipt, so the device keeps it; unacknowledged it would stop the rest
        owner = self._blame.owner(route.plugin)
        try:
            with Patience(HANDLER_SECONDS):
                if owner is None:
                    await route.take(incoming)
                else:
                    await guarded(owner, at_once(owner, route.take, incoming))
        except Exception as error:  # noqa: BLE001 (isolation: a plugin's failure is its own)
            self._blame.failed(route.plugin, f"message {incoming.device.kind}/{route.what}", error)
        else:
            self._blame.succeeded(route.plugin, f"message {incoming.device.kind}/{route.what}")
        return self._done(received)

    def _route(self, name: str, parts: Topic) -> _Route | None:
        """Matching walks a tree; which device it is makes no difference, so remember for all of its kind."""
        key = (parts.site, parts.kind, parts.what)
        if key not in self._matched:
            if len(self._matched) > MOST_REMEMBERED:
                self._matched.clear()  # somebody invents topics
            self._matched[key] = next(self._routes.iter_match(name), None)  # type: ignore[no-untyped-call]
        return self._matched[key]

    def _done(self, received: Received) -> None:
        if self.wire is not None:
            self.wire.acknowledge(received)

    def _flooded(self, received: Received, parts: Topic) -> None:
        """Counted at every one, told now and then."""
        self._refuse(received, parts, "too many")

    def _refuse(self, received: Received, parts: Topic, why: str) -> None:
        """Counted, and told by words of ours: a topic's and a message's are a device's own.

        How often is each device's own too: two that flood do not hide one another, nor fill the log together.
        """
        known = self._devices.get(parts.device)
        refused_total.labels(known.kind if known else "unknown", why.split(":", maxsplit=1)[0]).inc()
        if why == "retained" and self.wire is not None:
            self.wire.publish(received.topic, b"", qos=1, retain=True)  # else it comes again at every connection
        if not self._told.wait_seconds(known.id if known else ""):
            declared = known is not None and self._channel(known.kind, "up", parts.what) is not None
            log.warning(
                "message_refused",
                kind=known.kind if known else None,
                device=known.id if known else None,
                what=parts.what if declared else "of no known kind",
                why=why,
                bytes=len(received.payload),
            )
        if known:
            self._devices.refused(known.id, f"{parts.what[:MOST_WHAT]}: {why}")
        self._done(received)


def _id_in(payload: bytes) -> str | None:
    """The id of a message that is otherwise wrong, so that its sender can be told to give up."""
    try:
        found = orjson.loads(payload)
        return _ID.validate_python(found.get("id"))
    except (orjson.JSONDecodeError, ValidationError, AttributeError):
        return None


def receive_signs_of_life(mqtt: Mqtt, kinds: set[str]) -> None:
    """Heartbeat and status of every kind of device that some plugin drives."""

    async def taken(_incoming: Incoming[Any]) -> None:
        """`Mqtt.take` has seen to it, as to every message's being a sign of life."""

    known = set(mqtt.filters_of(HUB))
    for kind in sorted(kinds):
        if any(f"/{kind}/+/up/heartbeat" in one for one in known):
            continue
        mqtt.receive(HUB, kind, "heartbeat", Heartbeat, taken)
        mqtt.receive(HUB, kind, "status", Status, taken, takes_retained=True)
