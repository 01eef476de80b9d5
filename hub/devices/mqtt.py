"""MQTT messages between hub and devices: one routing table from topic filters to handlers with validated models."""

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
from hub.hooks.guard import DescribedError, call_guarded, guarded, kernel_task
from hub.hooks.limits import Allowance, Limiter
from hub.hooks.pausable_timeout import PausableTimeout

log = structlog.get_logger("mqtt")

M = TypeVar("M", bound=Payload)
HUB = "hub"
"""Receives heartbeats and status messages, which need no handler."""
HANDLER_SECONDS = 10
MAX_CONCURRENT = 20_000
MAX_CACHED_ROUTES = 1_000
MAX_DEVICE_MESSAGES, DEVICE_SECONDS = 200, 1.0
"""Rate limit for each device: messages above it are refused unread, so that one device does not block others."""
SENDS_PER_SECOND = 500.0
SEND_BURST = 200.0
SENDS_PER_DEVICE = 5.0
SENDS_PER_MESSAGE = 4.0
"""Rate limit for what a plugin publishes: a base rate, a burst for each device, and answers to messages."""
REFUSALS_LOGGED, REFUSALS_SECONDS = 5, 60.0
"""Rate limit for log lines about one device's refused messages; all are counted, also on its page."""
MAX_WHAT_LENGTH = 60
UNSENT_PER_FAILURE = 200
"""This many unsent messages count as one failure of the plugin."""
SETTLING_SECONDS = 0.7
"""How long after a reconnect the broker delivers what it has queued."""
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
    """It was, or may have been, queued: it came just after a reconnect, or its remaining expiry says so."""


@dataclass(frozen=True, slots=True)
class _Route:
    plugin: str
    what: str
    model: type[Payload]
    handler: Callable[[Incoming[Any]], Awaitable[None]]
    takes_retained: bool
    on_malformed: Callable[[Device, str], None] | None


class _RefusedError(Exception):
    """Why a message is refused."""


class UndeclaredMessageError(LookupError):
    """A message to be sent is not declared as a channel, or not with this model."""


class PayloadTooLargeError(ValueError):
    """A message to be sent is larger than its channel allows."""


class Mqtt:
    """Call `attach` with a wire; before that, and while the broker is away, `send` returns False."""

    def __init__(
        self, root: str, site: str, devices: Devices, blame: Blame, on_other_topic: Callable[[Received], None]
    ) -> None:
        """`on_other_topic` is called with messages outside our root, and must acknowledge them."""
        self.wire: Wire | None = None
        self._below_root = f"{root}/"
        self._on_other_topic = on_other_topic
        self._root = root
        self._site = site
        self._devices = devices
        self._blame = blame
        self._routes = MQTTMatcher()  # type: ignore[no-untyped-call]
        self._route_cache: dict[tuple[str, str, str], _Route | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._filters: list[str] = []
        self._message_limit = Limiter(MAX_DEVICE_MESSAGES, DEVICE_SECONDS)
        self._send_allowances: dict[str, Allowance] = {}
        self._unsent: Tally[str] = Tally()
        self._log_limit = Limiter(REFUSALS_LOGGED, REFUSALS_SECONDS)
        self.kinds: set[str] = set()
        self.channels: dict[tuple[str | None, str, str], Channel] = {}
        """By kind, direction and what: the declared messages between the hub and its devices."""
        self._declared: dict[str, list[tuple[str | None, str, str]]] = {}
        self.declare(alive.CHANNELS)

    def attach(self, wire: Wire) -> None:
        self.wire = wire
        wire.subscribe(f"{self._root}/{self._site}/+/+/up/#")

    def declare(self, channels: Iterable[Channel], plugin: str = "hub") -> None:
        """Declare messages; only these can be sent.

        Raises ValueError if another plugin declares a topic differently.
        """
        for channel in channels:
            key = (channel.kind, channel.direction, channel.what)
            if key not in self.channels:
                self._declared.setdefault(plugin, []).append(key)
            if self.channels.setdefault(key, channel) != channel:
                raise ValueError(
                    f"{channel.kind}/+/{channel.direction}/{channel.what} is declared by another plugin already"
                )

    def receive(
        self,
        plugin: str,
        kind: str,
        what: str,
        model: type[M],
        handler: Callable[[Incoming[M]], Awaitable[None]],
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
            self.declare([Channel("up", what, model, f"for the plugin {plugin}", kind=kind)], plugin)
        self._routes[topic_filter] = _Route(plugin, what, model, handler, takes_retained, on_malformed)
        self._route_cache.clear()

    def remove_plugin(self, plugin: str) -> None:
        """Remove the plugin's routes and channels."""
        for topic_filter in self.filters_of(plugin):
            self._filters.remove(topic_filter)
            del self._routes[topic_filter]  # type: ignore[no-untyped-call]
        for key in self._declared.pop(plugin, ()):
            self.channels.pop(key, None)
        self._route_cache.clear()

    def topics_of(self, plugin: str) -> list[str]:
        """The topics that it sends and receives, from the kind on."""
        declared = [f"{kind or '+'}/+/{direction}/{what}" for kind, direction, what in self._declared.get(plugin, ())]
        received = [topic_filter.split("/", 2)[2] for topic_filter in self.filters_of(plugin)]
        return sorted({*declared, *received})

    def filters_of(self, plugin: str) -> list[str]:
        return [topic_filter for topic_filter in self._filters if self._routes[topic_filter].plugin == plugin]

    def send(
        self,
        plugin: str,
        device: Device,
        what: str,
        message: Payload | None,
        *,
        retain: bool | None = None,
    ) -> bool:
        """Publish as the channel declares. False if the broker is away, the device is revoked, or the rate is too high.

        Raises PayloadTooLargeError or UndeclaredMessageError.
        """
        channel = self._channel(device.kind, "down", what)
        if channel is None or not isinstance(message, channel.model | None):
            raise UndeclaredMessageError(f"{type(message).__name__} on {device.kind}/+/down/{what}")
        if self.wire is not None and not self._is_within_rate(plugin):
            return False
        if self._devices.get(device.id) is None:
            return False  # its retained messages were cleared, and must stay so
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

    def _is_within_rate(self, plugin: str) -> bool:
        allowance = self._send_allowances.get(plugin)
        if allowance is None:
            most = SEND_BURST + SENDS_PER_DEVICE * sum(1 for _ in self._devices)
            allowance = self._send_allowances[plugin] = Allowance(SENDS_PER_SECOND, most)
        if allowance.take():
            return True
        self._unsent[plugin] += 1
        if self._unsent[plugin] % UNSENT_PER_FAILURE == 0:
            self._blame.failed(
                plugin, "sending", DescribedError(f"floods the broker, {self._unsent[plugin]} messages were not sent")
            )
        return False

    def clear(self, device: Device) -> None:
        """Clear the retained messages of a revoked device; does nothing while the broker is away."""
        if self.wire is None or self._devices.get(device.id) is not None:
            return
        for channel in list(self.channels.values()):
            if channel.retained and channel.kind in (None, device.kind):
                name = topic(self._root, self._site, device.kind, device.id, channel.direction, channel.what)
                self.wire.publish(name, b"", qos=1, retain=True)

    def branch(self, device: Device) -> str:
        return branch(self._root, self._site, device.kind, device.id)

    def _channel(self, kind: str, direction: str, what: str) -> Channel | None:
        return self.channels.get((kind, direction, what)) or self.channels.get((None, direction, what))

    async def close(self) -> None:
        """Wait for running handlers; no more messages may come from the wire."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=HANDLER_SECONDS)

    # -- incoming messages

    def on_message(self, received: Received) -> None:
        """Called by the wire. Refused messages are acknowledged too: redelivery would not help."""
        if not received.topic.startswith(self._below_root):
            return self._on_other_topic(received)
        parts = parse(self._root, received.topic)
        if parts is None or parts.direction != "up" or not received.payload:
            return self._acknowledge(received)  # not for us, or somebody cleared a retained message
        if self._message_limit.wait_seconds(parts.device):
            return self._flooded(received, parts)
        try:
            route, incoming = self._validated(received, parts)
        except _RefusedError as refused:
            return self._refuse(received, parts, str(refused))
        received_total.labels(parts.kind, route.what).inc()
        self._note_sign_of_life(incoming, is_old=received.retained)
        if route.plugin == HUB:
            return self._acknowledge(received)
        return self._start(route, received, incoming)

    def _has_waited(self, received: Received, parts: Topic) -> bool:
        channel = self._channel(parts.kind, "up", parts.what)
        expiry = channel.expiry_seconds if channel else None
        is_late = expiry is not None and received.expires_in is not None and received.expires_in < expiry
        return is_late or received.connected_seconds < SETTLING_SECONDS

    def _note_sign_of_life(self, incoming: Incoming[Any], *, is_old: bool) -> None:
        """Synchronously and in order of arrival: a last will and the next heartbeat may come in one read."""
        message = incoming.message
        if isinstance(message, Status) and not message.online:
            self._devices.mark_offline(incoming.device)  # a last will is not a sign of life
        elif not is_old:
            self._devices.mark_seen(incoming.device, message if isinstance(message, Heartbeat) else None)

    def _validated(self, received: Received, parts: Topic) -> tuple[_Route, Incoming[Any]]:
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
        if len(self._tasks) > MAX_CONCURRENT and received.qos == 0:
            raise _RefusedError("too many at once")
        owner, times = self._blame.owner(route.plugin), (received.read_at, self._has_waited(received, parts))
        try:
            if owner is None:
                return route, Incoming(device, route.model.model_validate_json(received.payload), *times)
            return route, Incoming(
                device, call_guarded(owner, route.model.model_validate_json, received.payload), *times
            )
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            if route.on_malformed is not None and (message_id := _id_in(received.payload)):
                self._report_malformed(route, route.on_malformed, device, message_id)
            field = first["loc"][0] if first["loc"] else None
            where = field if field in route.model.model_fields else "payload"  # an unknown key is chosen by the device
            raise _RefusedError(f"malformed: {where}: {first['type']}") from None
        except Exception as error:  # noqa: BLE001 (a plugin's model may have validators that raise anything)
            self._blame.failed(route.plugin, f"message {device.kind}/{route.what}", error)
            raise _RefusedError("the plugin's model failed") from None

    def _report_malformed(
        self, route: _Route, callback: Callable[[Device, str], None], device: Device, message_id: str
    ) -> None:
        owner = self._blame.owner(route.plugin)
        if owner is None or self._blame.is_quarantined(route.plugin):
            return
        try:
            call_guarded(owner, callback, device, message_id)
        except Exception as error:  # noqa: BLE001 (isolation)
            self._blame.failed(route.plugin, f"malformed {device.kind}/{route.what}", error)

    def _start(self, route: _Route, received: Received, incoming: Incoming[Any]) -> None:
        """Handlers start in the order of arrival and run side by side, so that a burst shares commits."""
        if allowance := self._send_allowances.get(route.plugin):
            allowance.earn(SENDS_PER_MESSAGE)
        task = kernel_task(self._handle(route, received, incoming))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, route: _Route, received: Received, incoming: Incoming[Any]) -> None:
        if self._blame.is_quarantined(route.plugin):
            return self._acknowledge(received)  # without a receipt the device sends it again
        owner = self._blame.owner(route.plugin)
        try:
            with PausableTimeout(HANDLER_SECONDS):
                if owner is None:
                    await route.handler(incoming)
                else:
                    await guarded(owner, call_guarded(owner, route.handler, incoming))
        except Exception as error:  # noqa: BLE001 (isolation: a plugin's failure is its own)
            self._blame.failed(route.plugin, f"message {incoming.device.kind}/{route.what}", error)
        else:
            self._blame.succeeded(route.plugin, f"message {incoming.device.kind}/{route.what}")
        return self._acknowledge(received)

    def _route(self, name: str, parts: Topic) -> _Route | None:
        """The route for a topic, cached by kind and what: it is the same for all devices of a kind."""
        key = (parts.site, parts.kind, parts.what)
        if key not in self._route_cache:
            if len(self._route_cache) > MAX_CACHED_ROUTES:
                self._route_cache.clear()  # somebody makes up topics
            self._route_cache[key] = next(self._routes.iter_match(name), None)  # type: ignore[no-untyped-call]
        return self._route_cache[key]

    def _acknowledge(self, received: Received) -> None:
        if self.wire is not None:
            self.wire.acknowledge(received)

    def _flooded(self, received: Received, parts: Topic) -> None:
        """Refuse a message above the device's rate limit."""
        self._refuse(received, parts, "too many")

    def _refuse(self, received: Received, parts: Topic, reason: str) -> None:
        """Count, log and acknowledge. The log contains no text chosen by the device.

        Log lines are rate limited for each device, so that one that floods does not hide another.
        """
        known = self._devices.get(parts.device)
        refused_total.labels(known.kind if known else "unknown", reason.split(":", maxsplit=1)[0]).inc()
        if reason == "retained" and self.wire is not None:
            self.wire.publish(received.topic, b"", qos=1, retain=True)  # else it is delivered again at every connect
        if not self._log_limit.wait_seconds(known.id if known else ""):
            declared = known is not None and self._channel(known.kind, "up", parts.what) is not None
            log.warning(
                "message_refused",
                kind=known.kind if known else None,
                device=known.id if known else None,
                what=parts.what if declared else "of no known kind",
                reason=reason,
                bytes=len(received.payload),
            )
        if known:
            self._devices.note_refusal(known.id, f"{parts.what[:MAX_WHAT_LENGTH]}: {reason}")
        self._acknowledge(received)


def _id_in(payload: bytes) -> str | None:
    """The id of a malformed message, so that its sender can be told to give up; None if it has none."""
    try:
        found = orjson.loads(payload)
        return _ID.validate_python(found.get("id"))
    except (orjson.JSONDecodeError, ValidationError, AttributeError):
        return None


def receive_signs_of_life(mqtt: Mqtt, kinds: set[str]) -> None:
    """Subscribe to heartbeat and status of all these kinds of device."""

    async def ignore(_incoming: Incoming[Any]) -> None:
        """`Mqtt.on_message` has handled it already, as a sign of life."""

    known = set(mqtt.filters_of(HUB))
    for kind in sorted(kinds):
        if any(f"/{kind}/+/up/heartbeat" in topic_filter for topic_filter in known):
            continue
        mqtt.receive(HUB, kind, "heartbeat", Heartbeat, ignore)
        mqtt.receive(HUB, kind, "status", Status, ignore, takes_retained=True)
