"""Absences of devices: from the last sign of life to the next. Time when the hub itself was down does not count.

Written once a second for all devices, so that a power cut of a whole site is one transaction.
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
ALIVE_INTERVAL_SECONDS = 10
"""How precisely the end of the hub's life is known after a crash."""
RETENTION = timedelta(days=400)
DEFAULT_LIMIT = 50

By = Literal["heartbeat", "last_will"]
EndedBy = Literal["heard", "hub_stopped", "removed"]


@dataclass(frozen=True)
class Absence:
    """`ended_at` is None while it lasts. If it ended with the hub's stop, it may have lasted longer."""

    began_at: datetime
    ended_at: datetime | None
    noticed_by: By
    ended_by: EndedBy | None

    @property
    def lasted(self) -> timedelta:
        """Never negative, even if the clock was set back."""
        return max((self.ended_at or now()) - self.began_at, timedelta())


def note_alive(connection: Connection) -> None:
    """Record that the hub is alive now."""
    life = {"name": ALIVE, "at": now()}
    if connection.execute(update(hub_life).where(hub_life.c.name == ALIVE).values(**life)).rowcount == 0:
        connection.execute(insert(hub_life), life)


class Absences:
    """Collects absences reported by `hub.devices.registry`; `write` makes them durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[str, datetime] = {}
        self._began: list[dict[str, object]] = []
        self._ended: list[tuple[str, datetime, EndedBy]] = []
        self._first_seen: list[tuple[str, datetime]] = []
        self._alive_noted_at = 0.0
        self.listening_since: float | None = None
        """By the monotonic clock; None while not connected to the broker, when silence means nothing."""

    async def start(self) -> None:
        """Close absences that were open when the hub was last alive, at that time."""

        def close(connection: Connection) -> None:
            stopped = connection.execute(select(hub_life.c.at).where(hub_life.c.name == ALIVE)).scalar() or now()
            for row in connection.execute(select(table.c.id, table.c.began_at).where(table.c.ended_at.is_(None))).all():
                end = max(stopped, row.began_at)
                connection.execute(
                    update(table).where(table.c.id == row.id).values(ended_at=end, ended_by="hub_stopped")
                )

        await self._store.write(close)

    def set_connected(self, *, is_connected: bool) -> None:
        self.listening_since = time.monotonic() if is_connected else None

    def since(self, device: str) -> datetime | None:
        """When the current absence began; None if there is none."""
        return self._open.get(device)

    def mark_first_seen(self, device: str) -> None:
        self._first_seen.append((device, now()))

    def mark_away(self, device: str, by: By, began_at: datetime | None = None) -> None:
        if device not in self._open:
            self._open[device] = began_at or now()
            self._began.append({"device": device, "began_at": self._open[device], "noticed_by": by})

    def mark_back(self, device: str, by: EndedBy = "heard") -> None:
        """End the absence. One that was not written yet is dropped: a reconnecting device leaves a last will behind."""
        if device not in self._open:
            return
        del self._open[device]
        unwritten = [one for one in self._began if one["device"] == device]
        if unwritten:
            self._began.remove(unwritten[0])
        else:
            self._ended.append((device, now(), by))

    def check(self, devices: Iterable[tuple[str, float | None]]) -> None:
        """`devices`: each device that was ever seen, and when it was last seen, by the monotonic clock."""
        if self.listening_since is None:
            return
        clock = time.monotonic()
        for device, last_seen in devices:
            last = max(last_seen or 0.0, self.listening_since)
            if clock - last > DEADLINE_SECONDS and device not in self._open:
                self.mark_away(device, "heartbeat", now() - timedelta(seconds=clock - last))

    async def write(self, *, is_last: bool = False) -> bool:
        """Write what was collected since the last call; on a database failure it is written by the next one.

        Returns whether absences have changed.
        """
        is_alive_note_due = time.monotonic() - self._alive_noted_at > ALIVE_INTERVAL_SECONDS
        if not (self._began or self._ended or self._first_seen or is_alive_note_due or is_last):
            return False
        began, ended, first_seen = self._began, self._ended, self._first_seen
        self._began, self._ended, self._first_seen = [], [], []

        def work(connection: Connection) -> None:
            if began:
                connection.execute(insert(table), began)
            for device, at, by in ended:
                mine = and_(table.c.device == device, table.c.ended_at.is_(None))
                connection.execute(update(table).where(mine).values(ended_at=at, ended_by=by))
            for device, at in first_seen:
                known = device_table.c.id == device
                connection.execute(update(device_table).where(known).values(first_heard_at=at))
            note_alive(connection)

        self._alive_noted_at = time.monotonic()
        try:
            await self._store.write(work)
        except Exception as error:
            if not in_store(error):
                raise
            log.warning("absences_write_failed", error=type(error).__name__)
            self._began, self._ended = began + self._began, ended + self._ended
            self._first_seen = first_seen + self._first_seen
            return False
        return bool(began or ended)

    async def of(self, device: str, limit: int = DEFAULT_LIMIT) -> tuple[list[Absence], int]:
        """The latest absences, newest first, and the total number."""

        def read(connection: Connection) -> tuple[list[Absence], int]:
            mine = table.c.device == device
            rows = connection.execute(select(table).where(mine).order_by(table.c.began_at.desc()).limit(limit))
            absences = [Absence(row.began_at, row.ended_at, row.noticed_by, row.ended_by) for row in rows]
            return absences, connection.execute(select(func.count()).where(mine)).scalar_one()

        return await self._store.read(read)

    async def forget(self) -> None:
        """Delete absences older than RETENTION."""
        old = table.c.ended_at < now() - RETENTION
        await in_parts(self._store, lambda connection: delete_part(connection, table, old))
