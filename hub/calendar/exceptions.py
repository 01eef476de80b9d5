"""Days that somebody has set on the console: other hours, or closed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, delete, insert, select

from hub.calendar.opening import LOOK_AHEAD, Calendar
from hub.configuration.opening_hours import Span, spans_of, written
from hub.store import audit
from hub.store.store import Store, now
from hub.store.tables import calendar_day as table


class DayError(ValueError):
    """The day is over, or further ahead than anybody looks: nobody would ever see it."""


@dataclass(frozen=True)
class SetDay:
    """`service` is "" for the site itself."""

    service: str
    on: date
    spans: tuple[Span, ...]
    set_by: str


class Exceptions:
    """`load` once; then the calendar knows each change as soon as it is durable."""

    def __init__(self, store: Store, calendar: Calendar) -> None:
        self.days: list[SetDay] = []
        """In order."""
        self._store = store
        self._calendar = calendar
        self._reading = asyncio.Lock()
        """One reading after the other: an older one that takes longer must not be the last."""

    async def load(self) -> None:
        async with self._reading:
            self.days = await self._store.read(_all)
        self._calendar.exceptions = _by_day(self.days)

    async def put(self, service: str, on: date, spans: tuple[Span, ...], actor: str) -> None:
        """Anew, or instead of what was set for that day. Raises UnknownServiceError or DayError."""
        self._calendar.week(service)
        today = self._calendar.date_at(now())
        if not today <= on < today + LOOK_AHEAD:
            raise DayError("is past" if on < today else "is more than a year ahead")
        row = {"service": service, "day": on.isoformat(), "spans": written(spans), "made_at": now(), "made_by": actor}

        def write(connection: Connection) -> None:
            connection.execute(delete(table).where(table.c.service == service, table.c.day == on.isoformat()))
            connection.execute(insert(table), row)
            audit.record(connection, actor, "opening.set", on.isoformat(), {"service": service, "spans": row["spans"]})

        await self._store.write(write)
        await self.load()

    async def remove(self, service: str, on: date, actor: str) -> bool:
        """As the week or the configuration says again. False when nothing was set."""

        def write(connection: Connection) -> bool:
            mine = (table.c.service == service) & (table.c.day == on.isoformat())
            if not connection.execute(delete(table).where(mine)).rowcount:
                return False
            audit.record(connection, actor, "opening.unset", on.isoformat(), {"service": service})
            return True

        done = await self._store.write(write)
        await self.load()
        return done

    async def forget(self, before: date) -> None:
        """What is over."""
        old = table.c.day < before.isoformat()
        await self._store.write(lambda connection: connection.execute(delete(table).where(old)))


def _all(connection: Connection) -> list[SetDay]:
    rows = connection.execute(select(table).order_by(table.c.day, table.c.service))
    return [SetDay(row.service, date.fromisoformat(row.day), spans_of(row.spans), row.made_by) for row in rows]


def _by_day(days: list[SetDay]) -> Mapping[tuple[str, date], tuple[Span, ...]]:
    return {(one.service, one.on): one.spans for one in days}
