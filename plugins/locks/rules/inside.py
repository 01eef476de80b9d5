"""Anti-passback: which credential is in which zone. Never a list of who is in the building.

A credential counts as inside once the door that admitted it has opened. The marks survive restarts. They are cleared
at `forgive_at` each day, by hand, and whenever somebody may have left unobserved: a wrong mark would keep out somebody
who may come in.
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
"""How long after the pulse the door may still be opened by whoever was admitted."""
LOOK_SECONDS = 60.0
Write = Callable[[Connection], object]
UNOBSERVED_EXITS = frozenset({"exit_button", "forced_open", "opened_by_schedule", "fire"})
"""Events after which anybody may have left the zone behind the door."""


@dataclass(frozen=True)
class _Passing:
    """Admitted, but the door has not opened yet. `zone`: the destination; None: outside."""

    ref: str
    zone: str | None
    until: float


@dataclass(frozen=True)
class Mark:
    """In `zone` since then."""

    zone: str
    since: datetime


class Inside:
    def __init__(self, context: Context, settings: Settings, access: Access) -> None:
        self._context = context
        self._forgive_at = settings.forgive_at
        self._access = access
        self._marks: dict[str, Mark] = {}
        self._passing: dict[str, _Passing] = {}
        self._contacts: dict[str, door.Contact] = {}

    async def load(self) -> None:
        rows = await self._context.store.read(lambda connection: connection.execute(select(inside)).all())
        self._marks = {row.credential: Mark(row.zone, row.since) for row in rows}

    def is_inside(self, shown: door.AccessRequest, ref: str) -> bool | None:
        """Whether it is behind this door already; None where that is not checked: never on the way out."""
        zone = self._access.settings_of(shown.door).leads_to
        if not zone or shown.side == "out":
            return None
        return self.zone_of(ref) == zone

    def zone_of(self, ref: str) -> str | None:
        """The zone that a credential is in; None when it is outside or forgiven."""
        mark = self._marks.get(ref)
        return mark.zone if mark and mark.since >= self._forgiven_at() else None

    async def granted(self, shown: door.AccessRequest, ref: str) -> None:
        """The door was commanded to admit it. With an open or unknown contact it counts as passed at once."""
        settings = self._access.settings_of(shown.door)
        if not settings.leads_to:
            return
        zone = settings.leads_to if shown.side == "in" else None
        seconds = self._access.for_door(shown.door).pulse_ms / 1000 + COMES_THROUGH_SECONDS
        self._passing[shown.door] = _Passing(ref, zone, time.monotonic() + seconds)
        if self._contacts.get(shown.door) in ("open", "unknown"):
            await self.save(self._passed(shown.door))

    def update(self, state: door.State) -> list[Write]:
        """Apply a door's state, in order of arrival; the writes to save."""
        self._contacts[state.door] = state.contact
        changes = self._passed(state.door) if state.contact == "open" else []
        return changes + (self._clear_zone(state.door) if state.mode == "held_open" else [])

    async def save(self, changes: list[Write]) -> None:
        for change in changes:
            await self._context.store.write(change)

    async def event(self, event: door.Event) -> None:
        """Apply an event, which may be old when the door was offline."""
        if event.kind in UNOBSERVED_EXITS:
            await self.save(self._clear_zone(event.door))
        elif event.kind == "granted" and event.side == "out" and event.credential:
            await self.save(self._set(event.credential, None))

    async def forgive(self, ref: str, actor: str, reason: str) -> None:
        """Let a credential enter again everywhere."""
        await self._delete(inside.c.credential == ref, actor, ref, reason)
        self._passing = {door_id: passing for door_id, passing in self._passing.items() if passing.ref != ref}
        self._marks.pop(ref, None)

    async def forgive_all_behind(self, door_id: str, actor: str, reason: str) -> None:
        """Let everybody in the zone behind a door enter again. Raises UnknownDoorError."""
        self._access.zone(door_id)
        zone = self._access.settings_of(door_id).leads_to
        await self._delete(inside.c.zone == zone, actor, door_id, reason)
        self._marks = {ref: mark for ref, mark in self._marks.items() if mark.zone != zone}

    async def _delete(self, which: ColumnElement[bool], actor: str, whom: str, reason: str) -> None:
        def write(connection: Connection) -> None:
            connection.execute(delete(inside).where(which))
            audit.record(connection, actor, "passback.forgiven", whom, {"reason": reason})

        await self._context.store.write(write)

    async def watch(self) -> None:
        """Run forever: delete forgiven marks."""
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
        """The latest `forgive_at`, by the site's clock."""
        local = now().astimezone(self._context.site.zone)
        at = self._forgive_at
        today = local.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
        return today if today <= local else today - timedelta(days=1)

    def _passed(self, door_id: str) -> list[Write]:
        passing = self._passing.pop(door_id, None)
        is_meant = passing is not None and time.monotonic() < passing.until
        return self._set(passing.ref, passing.zone) if passing and is_meant else []

    def _clear_zone(self, door_id: str) -> list[Write]:
        zone = self._access.settings_of(door_id).leads_to
        refs = [ref for ref, mark in self._marks.items() if zone and mark.zone == zone]
        for ref in refs:
            del self._marks[ref]
        return [lambda connection: connection.execute(delete(inside).where(inside.c.zone == zone))] if refs else []

    def _set(self, ref: str, zone: str | None) -> list[Write]:
        """Update memory at once, since the same card may come again before it is written; the writes to save."""
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
