"""The device registry: which devices there are, their accounts, and whether they are alive."""

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
MOST_PLACE = 250


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is, each part free text; `site` only where it is not the hub's own."""

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
    """The same as `place`, by its parts."""
    first_heard_at: datetime | None = None


@dataclass(frozen=True)
class NewDevice:
    """What an administrator decides about a device; its secret is made for it."""

    id: str
    kind: str
    name: str
    place: Place | str = ""

    def check(self) -> None:
        """Raises pydantic.ValidationError for an id or kind that could not be part of a topic and an account."""
        for part in (self.id, self.kind):
            _ID.validate_python(part)


log = structlog.get_logger("devices")

DOUBLED_SECONDS = 900.0
"""So long after it was noticed last; devices that end each other come back after 5 minutes at most."""
MOST_INSTANCES = 8


@dataclass(slots=True)
class Vitals:
    """What the hub has seen of a device since it started. Times are of the monotonic clock."""

    heard_at: float | None = None
    heard_time: datetime | None = None
    said_goodbye: bool = False
    heartbeat: Heartbeat | None = None
    clock_ahead: float | None = None
    """Of our monotonic clock, when its last heartbeat came, or else by the last time that it gave."""
    doubled_at: float | None = None
    """When it was last noticed that two devices use its account."""
    instances: dict[str, float] = field(default_factory=dict)
    """The starts of its program that have been heard of, the latest last."""
    refused: int = 0
    last_refusal: str | None = None

    @property
    def clock_offset_seconds(self) -> float | None:
        """Its clock against ours, also after ours was set: above 0, its clock is ahead. The way takes part of it."""
        return None if self.clock_ahead is None else self.clock_ahead - (now().timestamp() - time.monotonic())

    @property
    def is_doubled(self) -> bool:
        """Two devices use its account, and end one another's connection."""
        return self.doubled_at is not None and time.monotonic() - self.doubled_at < DOUBLED_SECONDS

    def notice_instance(self, beat: Heartbeat) -> None:
        """Whether there are two.

        A program that was started anew does not come back as what it was before; or one says itself that another has
        ended its connection.
        """
        instance, before = beat.instance, self.heartbeat
        if instance is None:
            return
        at, latest = time.monotonic(), next(reversed(self.instances), None)
        if before is not None and before.instance == instance and beat.taken_over > before.taken_over:
            self.doubled_at = at
        last = self.instances.pop(instance, None)
        if last is not None and instance != latest and at - last < DOUBLED_SECONDS:
            self.doubled_at = at
        self.instances[instance] = at
        if len(self.instances) > MOST_INSTANCES:
            del self.instances[next(iter(self.instances))]

    @property
    def is_alive(self) -> bool:
        return (
            self.heard_at is not None and not self.said_goodbye and time.monotonic() - self.heard_at < DEADLINE_SECONDS
        )

    @property
    def age_seconds(self) -> float | None:
        return None if self.heard_at is None else time.monotonic() - self.heard_at


class UnknownDeviceError(LookupError):
    """There is no such device, or it has been revoked."""


class Devices:
    """In memory for speed, in the store for truth. Accounts come and go by `hub.devices.admission`."""

    def __init__(self, store: Store, live: Live) -> None:
        self.absences = Absences(store)
        self._heard_ever: set[str] = set()
        self._store = store
        self._live = live
        self._known: dict[str, Device] = {}
        self._vitals: dict[str, Vitals] = {}
        self._alive: set[str] = set()
        self.on_arrival: Callable[[str], None] = lambda _device: None
        """Called with the id of a device that is heard, and was not there before."""

    async def load(self) -> None:
        self._known = {device.id: device for device in await self._store.read(_all)}
        self._heard_ever |= {one.id for one in self._known.values() if one.first_heard_at is not None}
        self._heard_ever &= set(self._known)

    async def shut_out(self) -> list[Device]:
        """Those that had an account once."""
        return await self._store.read(lambda connection: _all(connection, are_revoked=True))

    def __iter__(self) -> Iterator[Device]:
        return iter(sorted(self._known.values(), key=lambda device: (device.kind, device.id)))

    def of_kind(self, kind: str) -> list[Device]:
        return [device for device in self if device.kind == kind]

    def get(self, device_id: str) -> Device | None:
        return self._known.get(device_id)

    def vitals(self, device_id: str) -> Vitals:
        known = self._vitals.get(device_id)
        if known is None:
            known = self._vitals[device_id] = Vitals()
        return known

    async def describe(self, device_id: str, name: str, place: Place, actor: str) -> None:
        """Another name or place. Raises UnknownDeviceError."""
        self.must(device_id)

        def write(connection: Connection) -> None:
            values = {"name": name, **_place_values(place)}
            connection.execute(update(device_table).where(device_table.c.id == device_id).values(**values))
            audit.record(connection, actor, "device.described", device_id, values)
            self._touch(connection)

        await self._store.write(write)
        await self.load()

    def must(self, device_id: str) -> Device:
        """Raises UnknownDeviceError."""
        if device_id not in self._known:
            raise UnknownDeviceError(device_id)
        return self._known[device_id]

    def put(self, connection: Connection, wanted: Sequence[NewDevice], hashes: dict[str, str], actor: str) -> None:
        """Write them, in a transaction of `hub.devices.admission`, which then loads and tells the broker."""
        for one in wanted:
            row = {
                "id": one.id,
                "kind": one.kind,
                "name": one.name,
                **_place_values(Place.of(one.place)),
                "secret_hash": hashes[one.id],
                "enrolled_at": now(),
                "first_heard_at": None,
                "revoked": False,
            }
            mine = device_table.c.id == one.id
            if connection.execute(update(device_table).where(mine).values(**row)).rowcount == 0:
                connection.execute(insert(device_table), row)
            audit.record(connection, actor, "device.enrolled", one.id, {"kind": one.kind, "name": one.name})
        self._touch(connection)

    def remove(self, connection: Connection, device_id: str, actor: str) -> None:
        connection.execute(update(device_table).where(device_table.c.id == device_id).values(revoked=True))
        audit.record(connection, actor, "device.revoked", device_id)
        self._touch(connection)

    def forget_vitals(self, names: Iterable[str]) -> None:
        """It is gone, or other hardware from now on."""
        for name in names:
            self.absences.back(name, "removed")
            self._heard_ever.discard(name)
            self._vitals.pop(name, None)
            self._alive.discard(name)

    def _touch(self, connection: Connection) -> None:
        after_commit(connection, lambda: self._live.touch("devices"))

    # -- signs of life

    def heard(self, device: Device, heartbeat: Heartbeat | None = None) -> None:
        vitals = self.vitals(device.id)
        vitals.heard_at = time.monotonic()
        vitals.heard_time = now()
        vitals.said_goodbye = False
        if heartbeat is not None:
            was_doubled = vitals.is_doubled
            vitals.notice_instance(heartbeat)
            vitals.heartbeat = heartbeat
            if vitals.is_doubled != was_doubled:
                log.warning("account_used_twice", kind=device.kind, device=device.id)
                self._live.touch("devices")
            vitals.clock_ahead = heartbeat.sent_at.timestamp() - vitals.heard_at
        if device.id not in self._alive:
            self._alive.add(device.id)
            self.absences.back(device.id)
            if device.id not in self._heard_ever:
                self._heard_ever.add(device.id)
                self.absences.heard_first(device.id)
            self.on_arrival(device.id)
            self._live.touch("devices")

    def noticed_time(self, device_id: str, said: datetime) -> None:
        """A time that a device gave as just now: what is known of its clock until its first heartbeat."""
        vitals = self.vitals(device_id)
        if vitals.heartbeat is None:
            is_first = vitals.clock_ahead is None
            vitals.clock_ahead = said.timestamp() - time.monotonic()
            if is_first:
                self._live.touch("devices")

    def goodbye(self, device: Device) -> None:
        """Its last will, or its own word that it stops."""
        self.vitals(device.id).said_goodbye = True
        if device.id in self._heard_ever:
            self.absences.away(device.id, "last_will")
        self.notice_absences()

    def refused(self, device_id: str, what: str) -> None:
        vitals = self.vitals(device_id)
        vitals.refused += 1
        vitals.last_refusal = what
        self._live.touch("devices")

    def notice_absences(self) -> None:
        """Call it now and then: a silent device sends no event."""
        self.absences.notice((one, self.vitals(one).heard_at) for one in self._heard_ever)
        gone = {device_id for device_id in self._alive if not self.vitals(device_id).is_alive}
        if gone:
            self._alive -= gone
            self._live.touch("devices")


def _place_values(place: Place) -> dict[str, str]:
    return {"place": str(place)[:MOST_PLACE], **asdict(place)}


def _all(connection: Connection, *, are_revoked: bool = False) -> list[Device]:
    """Many are in the same place: they share it."""
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
