"""Announces our own devices to Home Assistant (or any reader of its discovery format) on the same broker.

    <prefix>/<component>/<root>_<site>_<device>/<key>/config    an announcement, retained
    <root>-shown/<site>/<device>/available                      online or offline, retained
    <root>-shown/<site>/<device>/state                          JSON, retained: what the entities' values are taken from
    <root>-shown/<site>/<device>/set/<key>                      an order; never a retained one

Each component has an announcement of its own: Home Assistant before 2024.12 does not know the device form.

These topics are outside our own branch, so the other system's account needs no access to that. An order is checked
against the roles that IT gave to Home Assistant; what is refused is recorded in the audit log. Without a role, orders
are not even subscribed to.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection

from devices.wire.connection import Received, Wire
from hub.configuration.settings import DiscoverySettings
from hub.devices.registry import Device, Devices
from hub.hooks.asking import Hooks
from hub.hooks.limits import Limiter
from hub.hooks.specifications import MirroredDevice, mirrored, order_mirrored
from hub.store import audit
from hub.store.live import Live
from hub.store.store import Store

log = structlog.get_logger("announcing")

MIN_INTERVAL_SECONDS = 1.0
HEARTBEAT_SECONDS = 60.0
MAX_ORDER_LENGTH = 64
ORDERS_PER_MINUTE = 60
"""From all accounts together."""
REPAIRS_PER_MINUTE = 5
ACTOR = "Home Assistant"


class Announcer:
    """`run` publishes announcements until cancelled; `on_order` is called with messages below `branch`."""

    def __init__(
        self,
        settings: DiscoverySettings,
        root: str,
        site: str,
        devices: Devices,
        hooks: Hooks,
        live: Live,
        store: Store,
        subjects: Callable[[], set[str]],
    ) -> None:
        """`subjects`: the subjects of `Live` that are touched when one of our devices changes."""
        self.branch = f"{root}-shown/"
        self.wire: Wire | None = None
        self._settings = settings
        self._site = site
        self._ids = f"{root}_{site}"
        self._devices = devices
        self._hooks = hooks
        self._live = live
        self._store = store
        self._subjects = subjects
        self._published: dict[str, bytes] = {}
        self._mirrored: dict[str, MirroredDevice] = {}
        self._order_tasks: set[asyncio.Task[None]] = set()
        self._has_changes = asyncio.Event()
        self._order_limit = Limiter(ORDERS_PER_MINUTE, 60)
        self._repair_limit = Limiter(REPAIRS_PER_MINUTE, 60)

    def attach(self, wire: Wire) -> None:
        self.wire = wire
        if self._settings.announce and self._settings.orders_as:
            # QoS 0: an order that the broker queued while we were offline must not be carried out an hour later.
            wire.subscribe(f"{self.branch}{self._site}/+/set/+", qos=0)

    def on_connected(self) -> None:
        """The broker may have lost its retained messages: publish everything again."""
        self._published.clear()
        self._has_changes.set()

    async def run(self) -> None:
        """Publish what has changed, at most once a second, and everything after a reconnect. Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="announcing: listen")
            while True:
                await self._has_changes.wait()
                self._has_changes.clear()
                if self._settings.announce:
                    await self._publish_changes()
                await asyncio.sleep(MIN_INTERVAL_SECONDS)

    async def _listen(self) -> None:
        async for changed in self._live.changes(HEARTBEAT_SECONDS):
            if not changed or changed & self._subjects():
                self._has_changes.set()

    def on_announcement(self, topic: str, raw: bytes) -> None:
        """An announcement in our name: cleared if announcing is switched off, republished if it is not what we sent."""
        if not topic.split("/")[2].startswith(f"{self._ids}_"):
            return
        if not self._settings.announce:
            if raw:
                self._publish(topic, b"")
            return
        published = self._published.get(topic)
        if published is not None and raw != published and not self._repair_limit.wait_seconds(topic):
            log.warning("announcement_forged")  # without the topic: the sender chose it
            self._publish(topic, published)

    def on_order(self, received: Received) -> None:
        """An order from the other system. Retained orders are ignored: they are old."""
        if self.wire is not None:
            self.wire.acknowledge(received)
        parts = received.topic.removeprefix(self.branch).split("/")
        if received.retained or not received.payload or len(parts) != 4 or parts[2] != "set":  # noqa: PLR2004
            return
        if parts[0] != self._site:
            return
        if self._order_limit.wait_seconds(self._site):
            log.warning("order_dropped", reason="rate_limited")
            return
        carrying_out = self._carry_out(parts[1][:MAX_ORDER_LENGTH], parts[3][:MAX_ORDER_LENGTH], received.payload)
        task = asyncio.create_task(carrying_out, name="external order")
        self._order_tasks.add(task)
        task.add_done_callback(self._order_tasks.discard)

    async def close(self) -> None:
        for task in self._order_tasks:
            task.cancel()
        await asyncio.gather(*self._order_tasks, return_exceptions=True)

    # -- orders

    async def _carry_out(self, device_id: str, key: str, payload: bytes) -> None:
        order = payload[:MAX_ORDER_LENGTH].decode("ascii", "replace")
        mirror = self._mirrored.get(device_id)
        allowed = mirror.orders.get(key) if mirror else None
        if allowed is None or not allowed & set(self._settings.orders_as):
            details = {"key": key, "why": "unknown" if allowed is None else "its role may not"}
            await self._record_refusal("order.refused", device_id, details)
            return
        if not await self._hooks.first(order_mirrored, device=device_id, key=key, order=order, actor=ACTOR):
            await self._record_refusal("order.refused", device_id, {"key": key, "why": "not taken"})

    async def _record_refusal(self, action: str, device_id: str, details: dict[str, Any]) -> None:
        def write(connection: Connection) -> None:
            audit.record(connection, ACTOR, action, device_id[:64], details)

        log.warning("order_refused", device=device_id, reason=details["why"])
        await self._store.write(write)

    # -- announcements

    async def _publish_changes(self) -> None:
        self._mirrored = _merged(device for answer in await self._hooks.all(mirrored) for device in answer)
        wanted: dict[str, bytes] = {}
        for device in self._devices:
            wanted |= self._announcements(device, self._mirrored.get(device.id))
        for topic in self._published.keys() - wanted.keys():
            self._publish(topic, b"")
            del self._published[topic]
        for topic, payload in wanted.items():
            if self._published.get(topic) != payload and self._publish(topic, payload):
                self._published[topic] = payload

    def _publish(self, topic: str, payload: bytes) -> bool:
        return self.wire is not None and self.wire.publish(topic, payload, retain=True)

    def _announcements(self, device: Device, plugin: MirroredDevice | None) -> dict[str, bytes]:
        base = f"{self.branch}{self._site}/{device.id}"
        vitals = self._devices.vitals(device.id)
        heartbeat = vitals.heartbeat
        state: dict[str, Any] = {
            "last_seen": vitals.last_seen_at.isoformat(timespec="minutes") if vitals.last_seen_at else None,
            "out_of_order": "ON" if not vitals.is_alive or (heartbeat is not None and heartbeat.problem) else "OFF",
            "battery": heartbeat.battery_percent if heartbeat else None,
        }
        components = dict(_COMMON)
        if heartbeat is None or heartbeat.battery_percent is None:
            del components["battery"]
        if plugin is not None:
            components |= plugin.components
            state |= plugin.state
        device_info = {
            "identifiers": [f"{self._ids}_{device.id}"],
            "name": device.name,
            "manufacturer": "Kommunevert",
            "model": device.kind,
        }
        device_info |= {"sw_version": heartbeat.version} if heartbeat else {}
        device_info |= {"suggested_area": device.place} if device.place else {}
        return {
            f"{base}/available": b"online" if vitals.is_alive else b"offline",
            f"{base}/state": orjson.dumps(state),
        } | dict(self._config(base, device, device_info, key, component) for key, component in components.items())

    def _config(
        self, base: str, device: Device, device_info: dict[str, Any], key: str, component: dict[str, Any]
    ) -> tuple[str, bytes]:
        """Topic and payload. The components that all devices have stay available while the device is offline."""
        config = {
            "unique_id": f"{self._ids}_{device.id}_{key}",
            "object_id": f"{device.id}_{key}",
            "device": device_info,
            "origin": {"name": "Kommunevert"},
            "state_topic": f"{base}/state",
            "value_template": f"{{{{ value_json.{key} }}}}",
        } | {name: value for name, value in component.items() if name != "platform"}
        if key not in _COMMON:
            config["availability_topic"] = f"{base}/available"
        plugin = self._mirrored.get(device.id)
        if plugin is not None and key in plugin.orders:
            config["command_topic"] = f"{base}/set/{key}"
        topic = f"{self._settings.prefix}/{component['platform']}/{self._ids}_{device.id}/{key}/config"
        return topic, orjson.dumps(config)


_COMMON: dict[str, dict[str, Any]] = {
    "last_seen": {
        "platform": "sensor",
        "name": "Last seen",
        "device_class": "timestamp",
        "entity_category": "diagnostic",
    },
    "out_of_order": {"platform": "binary_sensor", "name": "Out of order", "device_class": "problem"},
    "battery": {
        "platform": "sensor",
        "name": "Battery",
        "device_class": "battery",
        "unit_of_measurement": "%",
        "entity_category": "diagnostic",
    },
}
"""The components that all our devices have."""


def _merged(devices: Iterable[MirroredDevice]) -> dict[str, MirroredDevice]:
    """By device id: several plugins may mirror the same device."""
    merged: dict[str, MirroredDevice] = {}
    for device in devices:
        known = merged.get(device.device)
        if known is not None:
            device = MirroredDevice(  # noqa: PLW2901
                device.device,
                known.components | device.components,
                known.state | device.state,
                known.orders | device.orders,
            )
        merged[device.device] = device
    return merged
