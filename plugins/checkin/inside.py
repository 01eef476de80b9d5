"""Who is inside, in memory: the evacuation list is needed most when the machine with the database is gone.

It follows each visit as soon as that is durable, and is read whole at the start and now and then.
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
ANEW_SECONDS = 600.0
"""A belt: read whole so often though nothing asks for it."""

_Fields = tuple[str, str, datetime, str, datetime | None]
"""Of a Present. A plain tuple of texts and times costs the garbage collector nothing, however many are inside."""


class Inside:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, _Fields] = {}
        self._is_whole = False
        """Once it has been read. Before that, whoever came before us would be missing, and nobody would see it."""
        self._changes: dict[str, _Fields | None] | None = None
        """What has become of visits while they are being read; None: nobody reads."""
        self._read_anew = asyncio.Event()

    async def people(self) -> list[Present]:
        """In the order of their registration; from memory while the database does not answer.

        Raises what reading raises where there is nothing to remember yet.
        """
        try:
            async with asyncio.timeout(READ_SECONDS):
                return [Present(*one) for one in (await self._read()).values()]
        except Exception as error:
            if not self._is_whole or not (isinstance(error, TimeoutError) or in_store(error)):
                raise
            return sorted((Present(*one) for one in self._known.values()), key=lambda one: one.since)

    def arrived(self, arrivals: Iterable[Arrival]) -> None:
        """Call it, and the next three, when it is durable."""
        self._note({one.new.id: _of_arrival(one) for one in arrivals})

    def stays(self, row: Row[Any]) -> None:
        """Somebody who had left is inside still, or what the list says of them is another thing now."""
        self._note({row.id: _of(row)})

    def left(self, visit_id: str) -> None:
        self._note({visit_id: None})

    def changed(self) -> None:
        """Many have left at once, or it is not known whether something became durable."""
        self._read_anew.set()

    async def keep_current(self) -> None:
        """For ever. Raises what reading raises, and begins anew then."""
        while True:
            self._read_anew.clear()
            self._changes = {}
            try:
                self._known = await self._read()
                self._apply(self._changes)
                self._is_whole = True
            finally:
                self._changes = None
            try:
                async with asyncio.timeout(ANEW_SECONDS):
                    await self._read_anew.wait()
            except TimeoutError:
                continue

    def _note(self, changes: Mapping[str, _Fields | None]) -> None:
        self._apply(changes)
        if self._changes is not None:
            self._changes |= changes

    def _apply(self, changes: Mapping[str, _Fields | None]) -> None:
        for visit_id, one in changes.items():
            if one is None:
                self._known.pop(visit_id, None)
            else:
                self._known[visit_id] = one

    async def _read(self) -> dict[str, _Fields]:
        return await self._context.store.read(lambda connection: {row.id: _of(row) for row in rows.inside(connection)})


def _of(row: Row[Any]) -> _Fields:
    late_since = row.arrived_at if row.timing == "late" else None
    return _named(row.visitor, row.company), row.host_name or "", row.registered_at, row.host_unit or "", late_since


def _of_arrival(arrival: Arrival) -> _Fields:
    new, host = arrival.new, arrival.host
    late_since = new.said_at if arrival.timing == "late" else None
    return _named(new.visitor, new.company), host.name, arrival.at, host.unit, late_since


def _named(visitor: str | None, company: str | None) -> str:
    return f"{visitor} ({company})" if company else visitor or "?"
