"""Who is inside, in memory, so that the evacuation list does not need the database.

Updated after the commit of each visit, and read as a whole at the start and every RELOAD_SECONDS.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from hub.plugin import Context, in_store
from plugins.checkin import rows
from plugins.checkin.contract import Present
from plugins.checkin.rows import Arrival

READ_SECONDS = 1.0
RELOAD_SECONDS = 600.0
"""A safety net: nothing should have been missed."""

_Fields = tuple[str, str, datetime, str, datetime | None]
"""The fields of a Present, as a plain tuple, which the garbage collector does not track."""


class Inside:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, _Fields] = {}
        self._is_loaded = False
        """False until the first reading: visits from before the start would be missing."""
        self._changes: dict[str, _Fields | None] | None = None
        """Changes that arrive during a reading; None: none is going on."""
        self._reload_requested = asyncio.Event()

    async def people(self) -> list[Present]:
        """By time of registration; from memory while the database does not answer.

        Raises the database's error before the first successful reading.
        """
        try:
            async with asyncio.timeout(READ_SECONDS):
                return [Present(*fields) for fields in (await self._read()).values()]
        except Exception as error:
            if not self._is_loaded or not (isinstance(error, TimeoutError) or in_store(error)):
                raise
            return sorted((Present(*fields) for fields in self._known.values()), key=lambda person: person.since)

    def arrived(self, arrivals: Iterable[Arrival]) -> None:
        """Call this, and the next three methods, after the commit."""
        self._record({arrival.new.id: _of_arrival(arrival) for arrival in arrivals})

    def update(self, row: Row[Any]) -> None:
        """A visit was changed, or its check-out undone."""
        self._record({row.id: _of(row)})

    def left(self, visit_id: str) -> None:
        self._record({visit_id: None})

    def reload(self) -> None:
        """Read everything again: many have left at once, or the outcome of a commit is unknown."""
        self._reload_requested.set()

    async def keep_current(self) -> None:
        """Run forever: read at the start, on request and every RELOAD_SECONDS. Raises the database's errors."""
        while True:
            self._reload_requested.clear()
            self._changes = {}
            try:
                self._known = await self._read()
                self._apply(self._changes)
                self._is_loaded = True
            finally:
                self._changes = None
            try:
                async with asyncio.timeout(RELOAD_SECONDS):
                    await self._reload_requested.wait()
            except TimeoutError:
                continue

    def _record(self, changes: Mapping[str, _Fields | None]) -> None:
        self._apply(changes)
        if self._changes is not None:
            self._changes |= changes

    def _apply(self, changes: Mapping[str, _Fields | None]) -> None:
        for visit_id, fields in changes.items():
            if fields is None:
                self._known.pop(visit_id, None)
            else:
                self._known[visit_id] = fields

    async def _read(self) -> dict[str, _Fields]:
        return await self._context.store.read(lambda connection: {row.id: _of(row) for row in rows.inside(connection)})


def _of(row: Row[Any]) -> _Fields:
    late_since = row.arrived_at if row.timing == "late" else None
    return _named(row.visitor, row.company), row.host_name or "", row.registered_at, row.host_unit or "", late_since


def _of_arrival(arrival: Arrival) -> _Fields:
    new, host = arrival.new, arrival.host
    late_since = new.arrived_at if arrival.timing == "late" else None
    return _named(new.visitor, new.company), host.name, arrival.at, host.unit, late_since


def _named(visitor: str | None, company: str | None) -> str:
    return f"{visitor} ({company})" if company else visitor or "?"
