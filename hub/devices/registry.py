"""The device registry: enrolled devices, and whether they are online."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from sys import intern

import structlog
from pydantic import TypeAdapter
from sqlalchemy import Connection, insert, select, update

from devices.contract.alive import DEADLINE_SECONDS, Heartbeat
from devices.contract.payload import Id
from hub.devices.absences import Absences
from hub.store import audit
from hub.store.live import Live
from hub.store.store import Store, after_commit, now
from hub.store.tables import device as device_table

_ID = TypeAdapter(Id)
MAX_PLACE_LENGTH = 250


@dataclass(frozen=True, slots=True)
class Place:
    """A location in free text; `site` is set only if it is not the hub's own."""

    site: str = ""
    building: str = ""
    floor: str = ""
    zone: str = ""

    @classmethod
    def of(cls, place: "Place | str") -> "Place":
        return cls(zone=place) if isinstance(place, str) else place

    def __str__(self) -> str:
        return ", ".join(part for part in (self.site, self.building, self.floor, self.zone) if part)


@dataclass(frozen=True, slots=True)
class Device:
    id: str
    kind: str
    name: str
    place: str
    secret_hash: str = field(repr=False)
    enrolled_at: datetime
    where: Place = Place()
    """`place`, in its parts."""
    first_seen_at: datetime | None = None


@dataclass(frozen=True)
class NewDevice:
    """A device to enrol; its secret is generated."""

    id: str
    kind: str
    name: str
    place: Place | str = ""

    def check(self) -> None:
        """Raises pydantic.ValidationError for an id or kind that is not valid in topics and account names."""
        for part in (self.id, self.kind):
            _ID.validate_python(part)


log = structlog.get_logger("devices")

DUPLICATE_SECONDS = 900.0
"""How long an account counts as used twice; devices that disconnect each other reconnect within 5 minutes."""
MAX_INSTANCES = 8


@dataclass(slots=True)
class Vitals:
    """A device's state since the hub started. Times are by the monotonic clock unless they are datetimes."""

    last_seen_monotonic: float | None = None
    last_seen_at: datetime | None = None
    is_known_offline: bool = False
    heartbeat: Heartbeat | None = None
    clock_ahead: float | None = None
    """The device's clock minus our monotonic clock, in seconds, by its last heartbeat or reported time."""
    duplicate_seen_at: float | None = None
    """When two devices were last seen using its account."""
    instances: dict[str, float] = field(default_factory=dict)
    """Instance ids of its program by when they were last seen, the latest last."""
    refused: int = 0
    last_refusal: str | None = None

    @property
    def clock_offset_seconds(self) -> float | None:
        """Its clock minus ours, in seconds, including the network delay; above 0 its clock is ahead."""
        return None if self.clock_ahead is None else self.clock_ahead - (now().timestamp() - time.monotonic())

    @property
    def is_duplicated(self) -> bool:
        """Whether two devices use its account, and disconnect each other."""
        return self.duplicate_seen_at is not None and time.monotonic() - self.duplicate_seen_at < DUPLICATE_SECONDS

    def notice_instance(self, heartbeat: Heartbeat) -> None:
        """Detect two devices with one account.

        Either an earlier instance id comes back, which a restart does not cause, or the device reports that its
        connection was taken over.
        """
        instance, before = heartbeat.instance, self.heartbeat
        if instance is None:
            return
        at, latest = time.monotonic(), next(reversed(self.instances), None)
        if before is not None and before.instance == instance and heartbeat.taken_over > before.taken_over:
            self.duplicate_seen_at = at
        last = self.instances.pop(instance, None)
        if last is not None and instance != latest and at - last < DUPLICATE_SECONDS:
            self.duplicate_seen_at = at
        self.instances[instance] = at
        if len(self.instances) > MAX_INSTANCES:
            del self.instances[next(iter(self.instances))]

    @property
    def is_alive(self) -> bool:
        return (
            self.last_seen_monotonic is not None
            and not self.is_known_offline
            and time.monotonic() - self.last_seen_monotonic < DEADLINE_SECONDS
        )

    @property
    def age_seconds(self) -> float | None:
        return None if self.last_seen_monotonic is None else time.monotonic() - self.last_seen_monotonic


class UnknownDeviceError(LookupError):
    """There is no such device, or it is revoked."""


class Devices:
    """A cache of the devices in the store. `hub.devices.admission` adds and removes them."""

    def __init__(self, store: Store, live: Live) -> None:
        self.absences = Absences(store)
        self._ever_seen: set[str] = set()
        self._store = store
        self._live = live
        self._devices: dict[str, Device] = {}
        self._vitals: dict[str, Vitals] = {}
        self._alive: set[str] = set()
        self.on_arrival: Callable[[str], None] = lambda _device: None
        """Called with the id of a device that has come online."""

    async def load(self) -> None:
        self._devices = {device.id: device for device in await self._store.read(_read_devices)}
        self._ever_seen |= {device.id for device in self._devices.values() if device.first_seen_at is not None}
        self._ever_seen &= set(self._devices)

    async def revoked_devices(self) -> list[Device]:
        """The devices whose accounts were revoked."""
        return await self._store.read(lambda connection: _read_devices(connection, are_revoked=True))

    def __iter__(self) -> Iterator[Device]:
        return iter(sorted(self._devices.values(), key=lambda device: (device.kind, device.id)))

    def of_kind(self, kind: str) -> list[Device]:
        return [device for device in self if device.kind == kind]

    def get(self, device_id: str) -> Device | None:
        return self._devices.get(device_id)

    def vitals(self, device_id: str) -> Vitals:
        vitals = self._vitals.get(device_id)
        if vitals is None:
            vitals = self._vitals[device_id] = Vitals()
        return vitals

    async def describe(self, device_id: str, name: str, place: Place, actor: str) -> None:
        """Change the name and place. Raises UnknownDeviceError."""
        self.require(device_id)

        def write(connection: Connection) -> None:
            values = {"name": name, **_place_values(place)}
            connection.execute(update(device_table).where(device_table.c.id == device_id).values(**values))
            audit.record(connection, actor, "device.described", device_id, values)
            self._touch(connection)

        await self._store.write(write)
        await self.load()

    def require(self, device_id: str) -> Device:
        """The device. Raises UnknownDeviceError."""
        if device_id not in self._devices:
            raise UnknownDeviceError(device_id)
        return self._devices[device_id]

    def save(self, connection: Connection, wanted: Sequence[NewDevice], hashes: dict[str, str], actor: str) -> None:
        """Write the devices, in a transaction of `hub.devices.admission`, which then reloads and updates the broker."""
        for device in wanted:
            row = {
                "id": device.id,
                "kind": device.kind,
                "name": device.name,
                **_place_values(Place.of(device.place)),
                "secret_hash": hashes[device.id],
                "enrolled_at": now(),
                "first_heard_at": None,
                "revoked": False,
            }
            mine = device_table.c.id == device.id
            if connection.execute(update(device_table).where(mine).values(**row)).rowcount == 0:
                connection.execute(insert(device_table), row)
            audit.record(connection, actor, "device.enrolled", device.id, {"kind": device.kind, "name": device.name})
        self._touch(connection)

    def remove(self, connection: Connection, device_id: str, actor: str) -> None:
        connection.execute(update(device_table).where(device_table.c.id == device_id).values(revoked=True))
        audit.record(connection, actor, "device.revoked", device_id)
        self._touch(connection)

    def forget_vitals(self, names: Iterable[str]) -> None:
        """Forget the state of devices that were removed or replaced by other hardware."""
        for name in names:
            self.absences.mark_back(name, "removed")
            self._ever_seen.discard(name)
            self._vitals.pop(name, None)
            self._alive.discard(name)

    def _touch(self, connection: Connection) -> None:
        after_commit(connection, lambda: self._live.touch("devices"))

    # -- signs of life

    def mark_seen(self, device: Device, heartbeat: Heartbeat | None = None) -> None:
        vitals = self.vitals(device.id)
        vitals.last_seen_monotonic = time.monotonic()
        vitals.last_seen_at = now()
        vitals.is_known_offline = False
        if heartbeat is not None:
            was_duplicated = vitals.is_duplicated
            vitals.notice_instance(heartbeat)
            vitals.heartbeat = heartbeat
            if vitals.is_duplicated != was_duplicated:
                log.warning("account_used_twice", kind=device.kind, device=device.id)
                self._live.touch("devices")
            vitals.clock_ahead = heartbeat.sent_at.timestamp() - vitals.last_seen_monotonic
        if device.id not in self._alive:
            self._alive.add(device.id)
            self.absences.mark_back(device.id)
            if device.id not in self._ever_seen:
                self._ever_seen.add(device.id)
                self.absences.mark_first_seen(device.id)
            self.on_arrival(device.id)
            self._live.touch("devices")

    def note_clock(self, device_id: str, reported: datetime) -> None:
        """Estimate the device's clock from a time that it reported as now, until its first heartbeat."""
        vitals = self.vitals(device_id)
        if vitals.heartbeat is None:
            is_first = vitals.clock_ahead is None
            vitals.clock_ahead = reported.timestamp() - time.monotonic()
            if is_first:
                self._live.touch("devices")

    def mark_offline(self, device: Device) -> None:
        """The device stopped, or the broker published its last will."""
        self.vitals(device.id).is_known_offline = True
        if device.id in self._ever_seen:
            self.absences.mark_away(device.id, "last_will")
        self.check_absences()

    def note_refusal(self, device_id: str, reason: str) -> None:
        vitals = self.vitals(device_id)
        vitals.refused += 1
        vitals.last_refusal = reason
        self._live.touch("devices")

    def check_absences(self) -> None:
        """Detect devices that have become silent; call it regularly."""
        self.absences.check((device, self.vitals(device).last_seen_monotonic) for device in self._ever_seen)
        offline = {device_id for device_id in self._alive if not self.vitals(device_id).is_alive}
        if offline:
            self._alive -= offline
            self._live.touch("devices")


def _place_values(place: Place) -> dict[str, str]:
    return {"place": str(place)[:MAX_PLACE_LENGTH], **asdict(place)}


def _read_devices(connection: Connection, *, are_revoked: bool = False) -> list[Device]:
    """Equal places are shared, to save memory."""
    rows = connection.execute(select(device_table).where(device_table.c.revoked.is_(are_revoked)))
    places: dict[tuple[str, ...], Place] = {}

    def place(*parts: str) -> Place:
        return places.setdefault(parts, Place(*parts))

    return [
        Device(
            row.id,
            intern(row.kind),
            row.name,
            intern(row.place),
            row.secret_hash,
            row.enrolled_at,
            place(row.site, row.building, row.floor, row.zone),
            row.first_heard_at,
        )
        for row in rows
    ]
