"""Who may pass, in memory: what the hub decides by, and what the doors' lists are made of."""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from devices.access.credentials import card, fingerprint, pin, readings, uid
from devices.access.deciding import Circumstances, Decision, Fingerprints, decide
from devices.access.lists import Credential as Listed
from devices.access.lists import DoorAccess
from devices.contract import door
from devices.contract.payload import new_id
from hub.plugin import N_, Context, now
from plugins.directory.contract import Person, employees
from plugins.locks.config import Settings
from plugins.locks.mistakes import MistakeError
from plugins.locks.models import (
    AccessRule,
    Credential,
    DoorSettings,
    KnownCredentialError,
    UnknownCredentialError,
    UnknownDoorError,
    UnknownRuleError,
)
from plugins.locks.rules import compiling, foreseeing
from plugins.locks.rules import rows as access_rows
from plugins.locks.rules.compiling import Kept
from plugins.locks.rules.foreseeing import Change, Foreseen
from plugins.locks.rules.keys import new_pin

log = structlog.get_logger("locks")

NO_HOURS = N_("An opening schedule needs hours: without them the door would stand open for everybody, day and night.")
T = TypeVar("T")
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
REF_CHARACTERS = 10


class Access:
    """`changed` is set whenever lists must be made anew."""

    def __init__(self, context: Context, settings: Settings, key: bytes) -> None:
        self.changed = asyncio.Event()
        self._foreseeing = asyncio.Lock()
        self.kept = Kept([], [], {}, {}, {}, [], [], 0)
        self.roll: dict[str, Listed] = {}
        self.names: dict[str, Person] = {}
        """Employee → who it is, as far as the directory has said since the start."""
        self.key = key
        self._context = context
        self._settings = settings
        self._access: dict[str, tuple[int, DoorAccess]] = {}
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """From the store, one after the other: what was read last stands."""
        async with self._loading:
            await asyncio.to_thread(self._context.calendar.holidays, *_years(now()))
            kept = await self._context.store.read(access_rows.kept)
            self.roll = await asyncio.to_thread(compiling.roll, kept)
            self.kept = kept
            self._access.clear()
            self.changed.set()

    async def ask_who_works_here(self) -> None:
        """What the directory says; while nobody answers, what it last said stands."""
        answers = await self._context.hooks.every(employees)
        if not answers:
            return
        self.names = {one.id: one for answer in answers for one in answer}
        people = list(self.names.values())
        if await self._context.store.write(lambda connection: access_rows.keep_people(connection, people)):
            await self.load()

    # -- deciding

    def decide(self, door_id: str, shown: Fingerprints, at: datetime, known: Circumstances) -> Decision:
        """May this pass this door, by what the hub knows now."""
        return decide(self.of(door_id), self.roll, shown, at, known)

    async def foresee(self, door_id: str, at: datetime, refs: Collection[str] | None) -> list[Foreseen]:
        """What would come of each credential, or of those of `refs`. Raises UnknownDoorError."""
        return await asyncio.to_thread(foreseeing.foresee, self.of(door_id), self.roll, at, refs)

    async def would_change(self, after: Kept) -> list[Change]:
        """What differs next week at each door, if this were kept."""
        local = now().astimezone(self._context.site.zone)
        monday = (local - timedelta(days=local.weekday()) + timedelta(days=7)).replace(hour=0, minute=0)
        zones = {one.id: one.where.zone for one in self._context.devices.of_kind(door.KIND)}
        days = self._context.calendar.holidays(*_years(local))
        async with self._foreseeing:  # one at a time: it takes a second with many rules
            return await asyncio.to_thread(foreseeing.changes, self.kept, after, zones, monday, days)

    def of(self, door_id: str) -> DoorAccess:
        """What the hub itself decides by: it runs out never. Raises UnknownDoorError."""
        year = now().astimezone(self._context.site.zone).year  # holidays are known for a year or two
        found = self._access.get(door_id)
        if found is None or found[0] != year:
            found = self._access[door_id] = year, self.listed(door_id, self.zone(door_id), 1, NEVER)
        return found[1]

    def listed(self, door_id: str, zone: str, version: int, valid_until: datetime) -> DoorAccess:
        made_at = now()
        return compiling.access_of(
            door_id,
            zone,
            self.kept,
            pulse_ms=round(self._settings.pulse_seconds * 1000),
            time_zone=self._context.site.time_zone,
            holidays=self._context.calendar.holidays(*_years(made_at)),
            version=version,
            made_at=made_at,
            valid_until=valid_until,
        )

    def settings_of(self, door_id: str) -> DoorSettings:
        return self.kept.settings.get(door_id, DoorSettings())

    def zone(self, door_id: str) -> str:
        """Raises UnknownDoorError."""
        device = self._context.devices.get(door_id)
        if device is None or device.kind != door.KIND:
            raise UnknownDoorError(door_id)
        return device.where.zone

    # -- rules

    async def keep_rule(self, rule: AccessRule, actor: str) -> int:
        """Make it (id 0) or change it; its number. Raises UnknownRuleError."""
        number = await self.written(lambda connection: access_rows.keep_rule(connection, rule, actor))
        if not number:
            raise UnknownRuleError(rule.id)
        return number

    async def drop_rule(self, number: int, actor: str) -> None:
        """Raises UnknownRuleError."""
        if not await self.written(lambda connection: access_rows.drop_rule(connection, number, actor)):
            raise UnknownRuleError(number)

    async def keep_settings(self, door_id: str, settings: DoorSettings, actor: str) -> None:
        """Raises UnknownDoorError, or MistakeError: no other door of the sluice, or a schedule without hours."""
        if settings.opening is not None and not settings.opening.times.weekly:
            raise MistakeError(NO_HOURS)
        other = self._context.devices.get(settings.interlock_with) if settings.interlock_with else None
        if settings.interlock_with and (other is None or other.kind != door.KIND or other.id == door_id):
            raise MistakeError(N_("The other door of the sluice is no other door."))
        if not await self.written(lambda connection: access_rows.keep_settings(connection, door_id, settings, actor)):
            raise UnknownDoorError(door_id)

    # -- credentials

    def card_fingerprint(self, bits: int, facility: int, number: int) -> str:
        """Raises CredentialError."""
        return self._of_card(card(bits, facility, number))

    def uid_fingerprint(self, identifier: bytes) -> str:
        return self._of_card(uid(identifier))

    def _of_card(self, shown: str) -> str:
        """In its one form; as it is kept already, where somebody has it in the other."""
        forms = [fingerprint(self.key, one) for one in readings(shown)]
        return next((one for one in forms if one in self.roll), forms[0])

    async def add_card(
        self, shown: str, person: str | None, label: str, actor: str, *,
        first: datetime | None = None, until: datetime | None = None, in_lockdown: bool = False,
    ) -> str:  # fmt: skip
        """`shown` is its fingerprint; its pseudonym. Raises KnownCredentialError when somebody has it."""
        one = _credential("card", shown, person, label, first=first, until=until, in_lockdown=in_lockdown)
        return await self._add(one, actor)

    async def give_pin(self, person: str, actor: str, *, opens_alone: bool, is_duress: bool = False) -> str:
        """A new PIN instead of the old one, in digits: shown once, kept nowhere."""
        kind = "duress" if is_duress else "pin"
        while True:
            digits = new_pin()
            one = _credential(kind, fingerprint(self.key, pin(digits)), person, "", opens_alone=opens_alone)
            try:
                await self._add(one, actor, instead_of=(person, kind))
            except KnownCredentialError:
                continue
            return digits

    async def end_credential(self, ref: str, why: str, actor: str) -> datetime:
        """Lost or handed in: gone here and from every door's list; since when. Raises UnknownCredentialError."""
        at = await self.written(lambda connection: access_rows.end_credential(connection, ref, why, actor))
        if at is None:
            raise UnknownCredentialError(ref)
        return at

    async def restore_credential(self, ref: str, actor: str) -> None:
        """What was lost is found. Raises UnknownCredentialError, or KnownCredentialError when somebody else has it."""
        if not await self.written(lambda connection: access_rows.restore_credential(connection, ref, actor)):
            raise UnknownCredentialError(ref)

    async def name_for_lockdown(self, ref: str, actor: str, *, opens: bool) -> None:
        """Whether it opens doors that are shut down. Raises UnknownCredentialError."""
        values = {"in_lockdown": opens}
        if not await self.written(lambda connection: access_rows.change_credential(connection, ref, values, actor)):
            raise UnknownCredentialError(ref)

    async def lately_ended(self) -> list[Credential]:
        """Cards that somebody may find again: the latest that were lost or handed in."""
        return await self._context.store.read(access_rows.lately_ended)

    async def _add(self, one: Credential, actor: str, instead_of: tuple[str, str] | None = None) -> str:
        """`instead_of` all of this person and kind: only the store knows what somebody else adds meanwhile."""

        def write(connection: Connection) -> None:
            if access_rows.has_fingerprint(connection, one.fingerprint):
                raise KnownCredentialError(one.ref)
            for old in access_rows.living_refs(connection, *instead_of) if instead_of else ():
                access_rows.end_credential(connection, old, "replaced", actor)
            access_rows.add_credential(connection, one, actor)

        await self.written(write)
        return one.ref

    async def written(self, write: Callable[[Connection], T]) -> T:
        """A change of what decides who may pass: kept, and the lists are made anew."""

        def work(connection: Connection) -> T:
            self._context.touch(connection, "access")
            return write(connection)

        done = await self._context.store.write(work)
        await self.load()
        return done


def _years(at: datetime) -> tuple[int, int]:
    """Those that a list made then speaks of."""
    return at.year, at.year + 1


def _credential(
    kind: str, shown: str, person: str | None, label: str, *,
    opens_alone: bool = True, in_lockdown: bool = False, first: datetime | None = None, until: datetime | None = None,
) -> Credential:  # fmt: skip
    return Credential(
        ref=new_id()[:REF_CHARACTERS],
        kind=kind,  # type: ignore[arg-type]
        fingerprint=shown,
        person=person,
        label=label,
        opens_alone=opens_alone,
        in_lockdown=in_lockdown,
        first=first,
        until=until,
        made_at=now(),
    )
