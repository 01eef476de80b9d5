"""Who is inside, in memory: the evacuation list is needed most when the machine with the database is gone.

It follows each visit as soon as that is durable, and is read whole at the start and now and then.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Row

from hub.plugin import Context, in_store
from plugins.checkin import rows
from plugins.checkin.contract import Present
from plugins.checkin.rows import Arrival

READ_SECONDS = 1.0
ANEW_SECONDS = 600.0
"""A belt: read whole so often though nothing asks for it."""


class Inside:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, Present | Arrival] = {}
        """Who has just arrived is made a person on the list when somebody asks for it: visitors come in bursts."""
        self._is_whole = False
        """Once it has been read. Before that, whoever came before us would be missing, and nobody would see it."""
        self._changes: dict[str, Present | Arrival | None] | None = None
        """What has become of visits while they are being read; None: nobody reads."""
        self._read_anew = asyncio.Event()

    async def people(self) -> list[Present]:
        """In the order of their registration; from memory while the database does not answer.

        Raises what reading raises where there is nothing to remember yet.
        """
        try:
            async with asyncio.timeout(READ_SECONDS):
                return list((await self._read()).values())
        except Exception as error:
            if not self._is_whole or not (isinstance(error, TimeoutError) or in_store(error)):
                raise
            present = [_of_arrival(one) if isinstance(one, Arrival) else one for one in self._known.values()]
            return sorted(present, key=lambda one: one.since)

    def arrived(self, arrivals: Iterable[Arrival]) -> None:
        """Call it, and the next three, when it is durable."""
        self._note({one.new.id: one for one in arrivals})

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
                self._known = {**await self._read()}
                self._apply(self._changes)
                self._is_whole = True
            finally:
                self._changes = None
            try:
                async with asyncio.timeout(ANEW_SECONDS):
                    await self._read_anew.wait()
            except TimeoutError:
                continue

    def _note(self, changes: Mapping[str, Present | Arrival | None]) -> None:
        self._apply(changes)
        if self._changes is not None:
            self._changes |= changes

    def _apply(self, changes: Mapping[str, Present | Arrival | None]) -> None:
        for visit_id, one in changes.items():
            if one is None:
                self._known.pop(visit_id, None)
            else:
                self._known[visit_id] = one

    async def _read(self) -> dict[str, Present]:
        return await self._context.store.read(lambda connection: {row.id: _of(row) for row in rows.inside(connection)})


def _of(row: Row[Any]) -> Present:
    return Present(
        name=_named(row.visitor, row.company),
        belongs_to=row.host_name or "",
        since=row.registered_at,
        note=row.host_unit or "",
        late_since=row.arrived_at if row.timing == "late" else None,
    )


def _of_arrival(arrival: Arrival) -> Present:
    new, host = arrival.new, arrival.host
    return Present(
        name=_named(new.visitor, new.company),
        belongs_to=host.name,
        since=arrival.at,
        note=host.unit,
        late_since=new.said_at if arrival.timing == "late" else None,
    )


def _named(visitor: str | None, company: str | None) -> str:
    return f"{visitor} ({company})" if company else visitor or "?"
