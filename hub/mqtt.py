"""The hub's side of MQTT: one routing table from topic filters to handlers with validated models."""

import asyncio
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
from devices.contract.messages import MAX_PAYLOAD_BYTES, Id, Message
from devices.contract.topics import Topic, branch, parse, topic
from hub.devices import Device, Devices
from hub.hooks import Blame
from hub.wire import Received, Wire

log = structlog.get_logger("mqtt")

M = TypeVar("M", bound=Message)
HANDLER_SECONDS = 10
MOST_AT_ONCE = 20_000
_ID = TypeAdapter(Id)

received_total = Counter("mqtt_received_total", "Messages from devices", ["kind", "what"])
refused_total = Counter("mqtt_refused_total", "Messages from devices that were refused", ["kind", "why"])


@dataclass(frozen=True, slots=True)
class Incoming(Generic[M]):
    device: Device
    message: M


@dataclass(frozen=True, slots=True)
class _Route:
    plugin: str
    what: str
    model: type[Message]
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
        self._matched: dict[str, _Route | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._filters: list[str] = []
        self.kinds: set[str] = set()
        self.channels: dict[tuple[str | None, str, str], Channel] = {}
        """By kind, direction and what: all that is said between the hub and its devices, as far as plugins speak."""
        self.speak(alive.CHANNELS)

    def attach(self, wire: Wire) -> None:
        self.wire = wire
        wire.subscribe(f"{self._root}/{self._site}/+/+/up/#")

    def speak(self, channels: Iterable[Channel]) -> None:
        """Declare messages: what is sent must be among them. Raises ValueError for a topic with two meanings."""
        for one in channels:
            if self.channels.setdefault((one.kind, one.direction, one.what), one) != one:
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
            self.speak([Channel("up", what, model, f"for the plugin {plugin}", kind=kind)])
        self._routes[topic_filter] = _Route(plugin, what, model, take, takes_retained, on_malformed)
        self._matched.clear()

    def send(
        self,
        device: Device,
        what: str,
        message: Message | None,
        *,
        retain: bool | None = None,
    ) -> bool:
        """As the channel's declaration says. Raises PayloadTooLargeError or UndeclaredMessageError."""
        channel = self._channel(device.kind, "down", what)
        if channel is None or not isinstance(message, channel.model | None):
            raise UndeclaredMessageError(f"{type(message).__name__} on {device.kind}/+/down/{what}")
        payload = b"" if message is None else message.payload()
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLargeError(
                f"{what} for {device.id} has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} pass"
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
        try:
            route, incoming = self._accepted(received, parts)
        except _RefusedError as refused:
            return self._refuse(received, parts, str(refused))
        received_total.labels(parts.kind, route.what).inc()
        if not received.retained:
            self._devices.heard(incoming.device)
        return self._start(route, received, incoming)

    def _accepted(self, received: Received, parts: Topic) -> tuple[_Route, Incoming[Any]]:
        device = self._devices.get(parts.device)
        if device is None or device.kind != parts.kind:
            raise _RefusedError("unknown device")
        route = self._route(received.topic)
        if route is None:
            raise _RefusedError("unknown topic")
        if received.retained and not route.takes_retained:
            raise _RefusedError("retained")
        if len(self._tasks) > MOST_AT_ONCE and received.qos == 0:
            raise _RefusedError("too many at once")
        try:
            return route, Incoming(device, route.model.model_validate_json(received.payload))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            if route.on_malformed is not None and (message_id := _id_in(received.payload)):
                route.on_malformed(device, message_id)
            where = ".".join(map(str, first["loc"])) or "payload"
            raise _RefusedError(f"malformed: {where}: {first['type']}") from None

    def _start(self, route: _Route, received: Received, incoming: Incoming[Any]) -> None:
        """Handlers start in the order of arrival and run side by side, so that a burst shares commits."""
        task = asyncio.create_task(self._handle(route, received, incoming))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, route: _Route, received: Received, incoming: Incoming[Any]) -> None:
        if self._blame.is_quarantined(route.plugin):
            return self._done(received)  # no receipt, so the device keeps it; unacknowledged it would stop the rest
        try:
            async with asyncio.timeout(HANDLER_SECONDS):
                await route.take(incoming)
        except Exception as error:  # noqa: BLE001 (isolation: a plugin's failure is its own)
            self._blame.failed(route.plugin, f"message {incoming.device.kind}/{route.what}", error)
        return self._done(received)

    def _route(self, name: str) -> _Route | None:
        """Matching walks a tree; a site has few topics, so remember."""
        if name not in self._matched:
            if len(self._matched) > MOST_AT_ONCE:
                self._matched.clear()
            self._matched[name] = next(self._routes.iter_match(name), None)  # type: ignore[no-untyped-call]
        return self._matched[name]

    def _done(self, received: Received) -> None:
        if self.wire is not None:
            self.wire.acknowledge(received)

    def _refuse(self, received: Received, parts: Topic, why: str) -> None:
        """Named by topic and device, never by content."""
        known = self._devices.get(parts.device)
        refused_total.labels(known.kind if known else "unknown", why.split(":", maxsplit=1)[0]).inc()
        log.warning(
            "message_refused",
            kind=parts.kind,
            device=parts.device,
            what=parts.what,
            why=why,
            bytes=len(received.payload),
        )
        if known:
            self._devices.refused(known.id, f"{parts.what}: {why}")
        self._done(received)


def _id_in(payload: bytes) -> str | None:
    """The id of a message that is otherwise wrong, so that its sender can be told to give up."""
    try:
        found = orjson.loads(payload)
        return _ID.validate_python(found.get("id"))
    except (orjson.JSONDecodeError, ValidationError, AttributeError):
        return None


def receive_signs_of_life(mqtt: Mqtt, devices: Devices, kinds: set[str]) -> None:
    """Heartbeat and status of every kind of device that some plugin drives."""

    async def heartbeat(incoming: Incoming[Heartbeat]) -> None:
        devices.heard(incoming.device, incoming.message)

    async def status(incoming: Incoming[Status]) -> None:
        if not incoming.message.online:
            devices.goodbye(incoming.device)

    for kind in sorted(kinds):
        mqtt.receive("hub", kind, "heartbeat", Heartbeat, heartbeat)
        mqtt.receive("hub", kind, "status", Status, status, takes_retained=True)
