"""When each device was away: from its last sign of life until the next one, and never while the hub itself was away.

Written once a second for all, so that a power cut of a whole site is one transaction.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
from sqlalchemy import Connection, and_, func, insert, select, update

from devices.contract.alive import DEADLINE_SECONDS
from hub.store.retention import delete_part, in_parts
from hub.store.store import Store, now
from hub.store.tables import absence as table
from hub.store.tables import device as device_table
from hub.store.tables import hub_life
from hub.store.trouble import in_store

log = structlog.get_logger("absences")

ALIVE = "alive"
LIFE_SECONDS = 10
"""How exactly we know, after a crash, until when the hub could see."""
KEPT = timedelta(days=400)
SHOWN = 50

By = Literal["heartbeat", "last_will"]
EndedBy = Literal["heard", "hub_stopped", "removed"]


@dataclass(frozen=True)
class Absence:
    """`ended_at` is None while it lasts. One that the hub's own stop ended may have lasted longer."""

    began_at: datetime
    ended_at: datetime | None
    noticed_by: By
    ended_by: EndedBy | None

    @property
    def lasted(self) -> timedelta:
        """Not less than nothing, though a clock may have been set back in it."""
        return max((self.ended_at or now()) - self.began_at, timedelta())


def note_life(connection: Connection) -> None:
    """The hub is alive now, and could write."""
    life = {"name": ALIVE, "at": now()}
    if connection.execute(update(hub_life).where(hub_life.c.name == ALIVE).values(**life)).rowcount == 0:
        connection.execute(insert(hub_life), life)


class Absences:
    """Told by `hub.devices.registry` what it notices; `write` makes it durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[str, datetime] = {}
        self._began: list[dict[str, object]] = []
        self._ended: list[tuple[str, datetime, EndedBy]] = []
        self._first_heard: list[tuple[str, datetime]] = []
        self._life_at = 0.0
        self.listening_since: float | None = None
        """By the monotonic clock; None while there is no line to the broker, and silence means nothing."""

    async def start(self) -> None:
        """What lasted when the hub was last alive is closed then: nobody knows how it went on."""

        def close(connection: Connection) -> None:
            stopped = connection.execute(select(hub_life.c.at).where(hub_life.c.name == ALIVE)).scalar() or now()
            for row in connection.execute(select(table.c.id, table.c.began_at).where(table.c.ended_at.is_(None))).all():
                end = max(stopped, row.began_at)
                connection.execute(
                    update(table).where(table.c.id == row.id).values(ended_at=end, ended_by="hub_stopped")
                )

        await self._store.write(close)

    def listening(self, *, is_connected: bool) -> None:
        self.listening_since = time.monotonic() if is_connected else None

    def since(self, device: str) -> datetime | None:
        """When the absence that lasts began."""
        return self._open.get(device)

    def heard_first(self, device: str) -> None:
        self._first_heard.append((device, now()))

    def away(self, device: str, by: By, began_at: datetime | None = None) -> None:
        if device not in self._open:
            self._open[device] = began_at or now()
            self._began.append({"device": device, "began_at": self._open[device], "noticed_by": by})

    def back(self, device: str, by: EndedBy = "heard") -> None:
        """One that is over before it was written is none: a device that reconnects leaves a last will behind."""
        if device not in self._open:
            return
        del self._open[device]
        unwritten = [one for one in self._began if one["device"] == device]
        if unwritten:
            self._began.remove(unwritten[0])
        else:
            self._ended.append((device, now(), by))

    def notice(self, devices: Iterable[tuple[str, float | None]]) -> None:
        """Each device that has ever been heard, and when it was heard last, by the monotonic clock."""
        if self.listening_since is None:
            return
        clock = time.monotonic()
        for device, heard_at in devices:
            last = max(heard_at or 0.0, self.listening_since)
            if clock - last > DEADLINE_SECONDS and device not in self._open:
                self.away(device, "heartbeat", now() - timedelta(seconds=clock - last))

    async def write(self, *, is_last: bool = False) -> bool:
        """What has been noticed since the last time; kept for the next time when the database does not take it.

        Whether there is something new to read.
        """
        is_life_due = time.monotonic() - self._life_at > LIFE_SECONDS
        if not (self._began or self._ended or self._first_heard or is_life_due or is_last):
            return False
        began, ended, first = self._began, self._ended, self._first_heard
        self._began, self._ended, self._first_heard = [], [], []

        def work(connection: Connection) -> None:
            if began:
                connection.execute(insert(table), began)
            for device, at, by in ended:
                mine = and_(table.c.device == device, table.c.ended_at.is_(None))
                connection.execute(update(table).where(mine).values(ended_at=at, ended_by=by))
            for device, at in first:
                known = device_table.c.id == device
                connection.execute(update(device_table).where(known).values(first_heard_at=at))
            note_life(connection)

        self._life_at = time.monotonic()
        try:
            await self._store.write(work)
        except Exception as error:
            if not in_store(error):
                raise
            log.warning("absences_write_failed", error=type(error).__name__)
            self._began, self._ended = began + self._began, ended + self._ended
            self._first_heard = first + self._first_heard
            return False
        return bool(began or ended)

    async def of(self, device: str, limit: int = SHOWN) -> tuple[list[Absence], int]:
        """The newest first, and how many there are."""

        def read(connection: Connection) -> tuple[list[Absence], int]:
            mine = table.c.device == device
            rows = connection.execute(select(table).where(mine).order_by(table.c.began_at.desc()).limit(limit))
            found = [Absence(row.began_at, row.ended_at, row.noticed_by, row.ended_by) for row in rows]
            return found, connection.execute(select(func.count()).where(mine)).scalar_one()

        return await self._store.read(read)

    async def forget(self) -> None:
        """What is older than KEPT."""
        old = table.c.ended_at < now() - KEPT
        await in_parts(self._store, lambda connection: delete_part(connection, table, old))
