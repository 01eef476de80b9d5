"""Our own devices, shown to a Home Assistant (or whatever reads its discovery format) on the same broker.

    <prefix>/<component>/<root>_<site>_<device>/<key>/config    an announcement, retained
    <root>-shown/<site>/<device>/available                      online or offline, retained
    <root>-shown/<site>/<device>/state                          JSON, retained: what the entities' values are taken from
    <root>-shown/<site>/<device>/set/<key>                      an order; never a retained one

The form of one component each: a Home Assistant before 2024.12 does not know the other one.

Outside our own branch, so that the other system's account needs nothing of that. Orders pass the role that IT gave them
and end in the audit log; without a role none is heard.
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

QUIET_SECONDS = 1.0
AGAIN_SECONDS = 60.0
LONGEST_ORDER = 64
MOST_ORDERS = 60
"""A minute, from all who may send any."""
MOST_REPAIRS = 5
ACTOR = "Home Assistant"


class Announcing:
    """`run` for ever; `take` gets what comes below `branch`."""

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
        """`subjects`: what pages are told by when something about a device of ours has changed."""
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
        self._said: dict[str, bytes] = {}
        self._mirrored: dict[str, MirroredDevice] = {}
        self._orders: set[asyncio.Task[None]] = set()
        self._is_new = asyncio.Event()
        self._limit = Limiter(MOST_ORDERS, 60)
        self._forged = Limiter(MOST_REPAIRS, 60)

    def attach(self, wire: Wire) -> None:
        self.wire = wire
        if self._settings.announce and self._settings.orders_as:
            # QoS 0: what the broker would queue for us while we are away must not be done an hour later.
            wire.subscribe(f"{self.branch}{self._site}/+/set/+", qos=0)

    def came_back(self) -> None:
        """The broker may have lost what it kept."""
        self._said.clear()
        self._is_new.set()

    async def run(self) -> None:
        """Say what has changed, once a second at most, and all again after a reconnect. Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="announcing: listen")
            while True:
                await self._is_new.wait()
                self._is_new.clear()
                if self._settings.announce:
                    await self._say_all()
                await asyncio.sleep(QUIET_SECONDS)

    async def _listen(self) -> None:
        async for changed in self._live.changes(AGAIN_SECONDS):
            if not changed or changed & self._subjects():
                self._is_new.set()

    def saw(self, topic: str, raw: bytes) -> None:
        """An announcement in our name: taken back where we announce nothing, put right where it is not ours."""
        if not topic.split("/")[2].startswith(f"{self._ids}_"):
            return
        if not self._settings.announce:
            if raw:
                self._say(topic, b"")
            return
        said = self._said.get(topic)
        if said is not None and raw != said and not self._forged.wait_seconds(topic):
            log.warning("announcement_forged")  # the topic is of somebody's choosing
            self._say(topic, said)

    def take(self, received: Received) -> None:
        """An order. What is kept is old, and opens nothing."""
        if self.wire is not None:
            self.wire.acknowledge(received)
        parts = received.topic.removeprefix(self.branch).split("/")
        if received.retained or not received.payload or len(parts) != 4 or parts[2] != "set":  # noqa: PLR2004
            return
        if parts[0] != self._site:
            return
        if self._limit.wait_seconds(self._site):
            log.warning("order_dropped", why="more than a building needs")
            return
        order = self._tell(parts[1][:LONGEST_ORDER], parts[3][:LONGEST_ORDER], received.payload)
        task = asyncio.create_task(order, name="order from outside")
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    async def close(self) -> None:
        for task in self._orders:
            task.cancel()
        await asyncio.gather(*self._orders, return_exceptions=True)

    # -- orders

    async def _tell(self, device_id: str, key: str, payload: bytes) -> None:
        order = payload[:LONGEST_ORDER].decode("ascii", "replace")
        one = self._mirrored.get(device_id)
        allowed = one.orders.get(key) if one else None
        if allowed is None or not allowed & set(self._settings.orders_as):
            details = {"key": key, "why": "unknown" if allowed is None else "its role may not"}
            await self._record("order.refused", device_id, details)
            return
        if not await self._hooks.first(order_mirrored, device=device_id, key=key, order=order, actor=ACTOR):
            await self._record("order.refused", device_id, {"key": key, "why": "not taken"})

    async def _record(self, action: str, device_id: str, details: dict[str, Any]) -> None:
        def write(connection: Connection) -> None:
            audit.record(connection, ACTOR, action, device_id[:64], details)

        log.warning("order_refused", device=device_id, why=details["why"])
        await self._store.write(write)

    # -- announcements

    async def _say_all(self) -> None:
        self._mirrored = _joined(one for many in await self._hooks.every(mirrored) for one in many)
        wanted: dict[str, bytes] = {}
        for device in self._devices:
            wanted |= self._announcements(device, self._mirrored.get(device.id))
        for topic in self._said.keys() - wanted.keys():
            self._say(topic, b"")
            del self._said[topic]
        for topic, payload in wanted.items():
            if self._said.get(topic) != payload and self._say(topic, payload):
                self._said[topic] = payload

    def _say(self, topic: str, payload: bytes) -> bool:
        return self.wire is not None and self.wire.publish(topic, payload, retain=True)

    def _announcements(self, device: Device, plugin: MirroredDevice | None) -> dict[str, bytes]:
        base = f"{self.branch}{self._site}/{device.id}"
        vitals = self._devices.vitals(device.id)
        beat = vitals.heartbeat
        state: dict[str, Any] = {
            "last_seen": vitals.heard_time.isoformat(timespec="minutes") if vitals.heard_time else None,
            "out_of_order": "ON" if not vitals.is_alive or (beat is not None and beat.problem) else "OFF",
            "battery": beat.battery_percent if beat else None,
        }
        components = dict(_COMMON)
        if beat is None or beat.battery_percent is None:
            del components["battery"]
        if plugin is not None:
            components |= plugin.components
            state |= plugin.state
        maker = {
            "identifiers": [f"{self._ids}_{device.id}"],
            "name": device.name,
            "manufacturer": "Kommunevert",
            "model": device.kind,
        }
        maker |= {"sw_version": beat.version} if beat else {}
        maker |= {"suggested_area": device.place} if device.place else {}
        return {
            f"{base}/available": b"online" if vitals.is_alive else b"offline",
            f"{base}/state": orjson.dumps(state),
        } | dict(self._announced(base, device, maker, key, one) for key, one in components.items())

    def _announced(
        self, base: str, device: Device, maker: dict[str, Any], key: str, one: dict[str, Any]
    ) -> tuple[str, bytes]:
        """Topic and payload. When a device is away, what all devices show stays readable: one wants to know it then."""
        config = {
            "unique_id": f"{self._ids}_{device.id}_{key}",
            "object_id": f"{device.id}_{key}",
            "device": maker,
            "origin": {"name": "Kommunevert"},
            "state_topic": f"{base}/state",
            "value_template": f"{{{{ value_json.{key} }}}}",
        } | {name: value for name, value in one.items() if name != "platform"}
        if key not in _COMMON:
            config["availability_topic"] = f"{base}/available"
        plugin = self._mirrored.get(device.id)
        if plugin is not None and key in plugin.orders:
            config["command_topic"] = f"{base}/set/{key}"
        topic = f"{self._settings.prefix}/{one['platform']}/{self._ids}_{device.id}/{key}/config"
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
"""What every device of ours shows."""


def _joined(found: Iterable[MirroredDevice]) -> dict[str, MirroredDevice]:
    """Two plugins may show one device."""
    joined: dict[str, MirroredDevice] = {}
    for one in found:
        known = joined.get(one.device)
        joined[one.device] = (
            one
            if known is None
            else MirroredDevice(
                one.device, known.components | one.components, known.state | one.state, known.orders | one.orders
            )
        )
    return joined
