"""Who is inside, in memory: the evacuation list is needed most when the machine with the database is gone.

Whoever has been registered is in it as soon as that is durable; who has left may stand on it for a second more.
"""

import asyncio
from collections.abc import Iterable

from hub.hookspecs import Present
from hub.plugin import Context, in_store
from plugins.checkin import rows
from plugins.checkin.models import Visit
from plugins.checkin.rows import Arrival

LEAST_PAUSE_SECONDS = 1.0
READ_SECONDS = 1.0


class Inside:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: list[Present] = []
        self._fresh: dict[str, Present] = {}

    async def people(self) -> list[Present]:
        """In the order of their registration; from memory while the database does not answer."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                return [_of(visit) for visit in await self._context.store.read(rows.inside)]
        except TimeoutError:
            return [*self._known, *self._fresh.values()]
        except Exception as error:
            if not in_store(error):
                raise
            return [*self._known, *self._fresh.values()]

    def arrived(self, arrivals: Iterable[Arrival]) -> None:
        """Call it when they are durable."""
        self._fresh |= {one.message.id: _of_arrival(one) for one in arrivals}

    async def keep_current(self) -> None:
        """For ever. Raises what reading raises, and begins anew then."""
        is_known = False
        async for changed in self._context.live.changes():
            if is_known and "visits" not in changed:
                continue
            before = list(self._fresh)
            self._known = [_of(visit) for visit in await self._context.store.read(rows.inside)]
            for visit_id in before:
                del self._fresh[visit_id]
            is_known = True
            await asyncio.sleep(LEAST_PAUSE_SECONDS)


def _of(visit: Visit) -> Present:
    return Present(
        name=_named(visit.visitor, visit.company),
        belongs_to=visit.host_name or "",
        since=visit.registered_at,
        note=visit.host_unit or "",
        late_since=visit.arrived_at if visit.timing == "late" else None,
    )


def _of_arrival(arrival: Arrival) -> Present:
    message, host = arrival.message, arrival.host
    return Present(
        name=_named(message.visitor, message.company),
        belongs_to=host.name,
        since=arrival.at,
        note=host.unit,
        late_since=message.arrived_at if arrival.timing == "late" else None,
    )


def _named(visitor: str | None, company: str | None) -> str:
    return f"{visitor} ({company})" if company else visitor or "?"
