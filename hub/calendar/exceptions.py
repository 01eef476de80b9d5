"""Days with other hours, or closed, set on the console."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, delete, insert, select

from hub.calendar.opening import LOOK_AHEAD, Calendar
from hub.configuration.opening_hours import Span, as_texts, spans_of
from hub.store import audit
from hub.store.store import Store, now
from hub.store.tables import calendar_day as table


class DayError(ValueError):
    """The day is past, or too far ahead."""


@dataclass(frozen=True)
class SetDay:
    """`service` is "" for the site itself."""

    service: str
    on: date
    spans: tuple[Span, ...]
    set_by: str


class Exceptions:
    """Call `load` once; after each change the calendar is updated."""

    def __init__(self, store: Store, calendar: Calendar) -> None:
        self.days: list[SetDay] = []
        """In order."""
        self._store = store
        self._calendar = calendar
        self._reading = asyncio.Lock()
        """Serialises reads, so that an older result does not overwrite a newer one."""

    async def load(self) -> None:
        async with self._reading:
            self.days = await self._store.read(_read_days)
        self._calendar.exceptions = _by_day(self.days)

    async def set_day(self, service: str, on: date, spans: tuple[Span, ...], actor: str) -> None:
        """Set or replace the hours of a day. Raises UnknownServiceError or DayError."""
        self._calendar.week(service)
        today = self._calendar.date_at(now())
        if not today <= on < today + LOOK_AHEAD:
            raise DayError("is past" if on < today else "is more than a year ahead")
        row = {"service": service, "day": on.isoformat(), "spans": as_texts(spans), "made_at": now(), "made_by": actor}

        def write(connection: Connection) -> None:
            connection.execute(delete(table).where(table.c.service == service, table.c.day == on.isoformat()))
            connection.execute(insert(table), row)
            audit.record(connection, actor, "opening.set", on.isoformat(), {"service": service, "spans": row["spans"]})

        await self._store.write(write)
        await self.load()

    async def remove(self, service: str, on: date, actor: str) -> bool:
        """Restore the configured hours of a day; False if none were set."""

        def write(connection: Connection) -> bool:
            chosen = (table.c.service == service) & (table.c.day == on.isoformat())
            if not connection.execute(delete(table).where(chosen)).rowcount:
                return False
            audit.record(connection, actor, "opening.unset", on.isoformat(), {"service": service})
            return True

        done = await self._store.write(write)
        await self.load()
        return done

    async def forget(self, before: date) -> None:
        """Delete days before this one."""
        old = table.c.day < before.isoformat()
        await self._store.write(lambda connection: connection.execute(delete(table).where(old)))


def _read_days(connection: Connection) -> list[SetDay]:
    rows = connection.execute(select(table).order_by(table.c.day, table.c.service))
    return [SetDay(row.service, date.fromisoformat(row.day), spans_of(row.spans), row.made_by) for row in rows]


def _by_day(days: list[SetDay]) -> Mapping[tuple[str, date], tuple[Span, ...]]:
    return {(one.service, one.on): one.spans for one in days}
