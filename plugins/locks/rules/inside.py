"""Anti-passback: which credential is behind which door. For the door's own sake, and never a list of who is here.

Somebody is inside when the door that let them in has opened, and not when it might have. The hub keeps it over
restarts and forgets it at `forgive_at` each day, when somebody may have left in a way that nobody saw, and when
somebody says so. What is in doubt is forgotten: a false denial keeps out somebody who may come in.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from devices.contract import door
from hub.plugin import Context, audit, now
from plugins.locks.config import Settings
from plugins.locks.rules.access import Access
from plugins.locks.store.tables import inside

COMES_THROUGH_SECONDS = 10.0
"""After the lock is shut again: a hand on the handle, a slow contact, and the way of the door's word to the hub."""
LOOK_SECONDS = 60.0
Change = Callable[[Connection], object]
UNSEEN = frozenset({"exit_button", "forced_open", "opened_by_schedule", "fire"})
"""Events of a door after which anybody may have left the zone behind it."""


@dataclass(frozen=True)
class _Going:
    """Let in or out, and not gone through yet. `zone`: where to; None: out."""

    ref: str
    zone: str | None
    until: float


@dataclass(frozen=True)
class Mark:
    """Behind the door to `zone` since then."""

    zone: str
    since: datetime


class Inside:
    def __init__(self, context: Context, settings: Settings, access: Access) -> None:
        self._context = context
        self._forgive_at = settings.forgive_at
        self._access = access
        self._marks: dict[str, Mark] = {}
        self._going: dict[str, _Going] = {}
        self._contacts: dict[str, door.Contact] = {}

    async def load(self) -> None:
        rows = await self._context.store.read(lambda connection: connection.execute(select(inside)).all())
        self._marks = {row.credential: Mark(row.zone, row.since) for row in rows}

    def has(self, shown: door.AccessRequest, ref: str) -> bool | None:
        """Whether it is behind this door already; None where nobody asks: never in the direction of escape."""
        zone = self._access.settings_of(shown.door).leads_to
        if not zone or shown.side == "out":
            return None
        return self.zone_of(ref) == zone

    def zone_of(self, ref: str) -> str | None:
        """Where it went in, and has not been forgiven since."""
        mark = self._marks.get(ref)
        return mark.zone if mark and mark.since >= self._forgiven_at() else None

    async def granted(self, shown: door.AccessRequest, ref: str) -> None:
        """The door has been told to let it through. A door that stands open, or has no contact, tells no more."""
        settings = self._access.settings_of(shown.door)
        if not settings.leads_to:
            return
        zone = settings.leads_to if shown.side == "in" else None
        seconds = self._access.of(shown.door).pulse_ms / 1000 + COMES_THROUGH_SECONDS
        self._going[shown.door] = _Going(ref, zone, time.monotonic() + seconds)
        if self._contacts.get(shown.door) in ("open", "unknown"):
            await self.keep(self._gone_through(shown.door))

    def noted(self, state: door.State) -> list[Change]:
        """What a door says of itself, at once and in order; what is to be kept of it."""
        self._contacts[state.door] = state.contact
        changes = self._gone_through(state.door) if state.contact == "open" else []
        return changes + (self._anybody_left(state.door) if state.mode == "held_open" else [])

    async def keep(self, changes: list[Change]) -> None:
        for change in changes:
            await self._context.store.write(change)

    async def event(self, event: door.Event) -> None:
        """What happened at a door; also long ago, when it was away: then all the more is in doubt."""
        if event.kind in UNSEEN:
            await self.keep(self._anybody_left(event.door))
        elif event.kind == "granted" and event.side == "out" and event.credential:
            await self.keep(self._put(event.credential, None))

    async def forgive(self, ref: str, actor: str, reason: str) -> None:
        """A credential may come in again wherever it went in."""
        await self._forgotten(inside.c.credential == ref, actor, ref, reason)
        self._going = {door_id: going for door_id, going in self._going.items() if going.ref != ref}
        self._marks.pop(ref, None)

    async def forgive_all_behind(self, door_id: str, actor: str, reason: str) -> None:
        """Whoever is in the zone behind a door may come in again. Raises UnknownDoorError."""
        self._access.zone(door_id)
        zone = self._access.settings_of(door_id).leads_to
        await self._forgotten(inside.c.zone == zone, actor, door_id, reason)
        self._marks = {ref: mark for ref, mark in self._marks.items() if mark.zone != zone}

    async def _forgotten(self, which: ColumnElement[bool], actor: str, whom: str, reason: str) -> None:
        def write(connection: Connection) -> None:
            connection.execute(delete(inside).where(which))
            audit.record(connection, actor, "passback.forgiven", whom, {"reason": reason})

        await self._context.store.write(write)

    async def watch(self) -> None:
        """What is forgiven is forgotten, too."""
        while True:
            before = self._forgiven_at()
            old = [ref for ref, mark in self._marks.items() if mark.since < before]
            if old:
                await self._context.store.write(
                    lambda connection, before=before: connection.execute(  # type: ignore[misc]
                        delete(inside).where(inside.c.since < before)
                    )
                )
            for ref in old:
                self._marks.pop(ref, None)
            await asyncio.sleep(LOOK_SECONDS)

    # --

    def _forgiven_at(self) -> datetime:
        """The last time that everybody was forgiven, by the site's clock."""
        local = now().astimezone(self._context.site.zone)
        at = self._forgive_at
        today = local.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
        return today if today <= local else today - timedelta(days=1)

    def _gone_through(self, door_id: str) -> list[Change]:
        going = self._going.pop(door_id, None)
        is_meant = going is not None and time.monotonic() < going.until
        return self._put(going.ref, going.zone) if going and is_meant else []

    def _anybody_left(self, door_id: str) -> list[Change]:
        zone = self._access.settings_of(door_id).leads_to
        refs = [ref for ref, mark in self._marks.items() if zone and mark.zone == zone]
        for ref in refs:
            del self._marks[ref]
        return [lambda connection: connection.execute(delete(inside).where(inside.c.zone == zone))] if refs else []

    def _put(self, ref: str, zone: str | None) -> list[Change]:
        """In memory at once: the same card may be shown before it is written."""
        if zone is None and ref not in self._marks:
            return []
        mark = None if zone is None else Mark(zone, now())
        if mark is None:
            self._marks.pop(ref, None)
        else:
            self._marks[ref] = mark

        def write(connection: Connection) -> None:
            connection.execute(delete(inside).where(inside.c.credential == ref))
            if mark is not None:
                connection.execute(insert(inside).values(credential=ref, zone=mark.zone, since=mark.since))

        return [write]
