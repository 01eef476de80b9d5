"""The rule book in memory: the hub decides by it, and the doors' lists are compiled from it."""

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
from hub.plugin import N_, Context, MistakeError, now
from plugins.directory.contract import Person, employees
from plugins.locks.config import Settings
from plugins.locks.models import (
    AccessRule,
    Credential,
    DoorSettings,
    KnownCredentialError,
    UnknownCredentialError,
    UnknownDoorError,
    UnknownRuleError,
)
from plugins.locks.rules import compiling, what_if
from plugins.locks.rules import rows as access_rows
from plugins.locks.rules.compiling import RuleBook
from plugins.locks.rules.keys import new_pin
from plugins.locks.rules.what_if import Change, Foreseen

log = structlog.get_logger("locks")

NO_HOURS = N_("An opening schedule needs hours: without them the door would stand open for everybody, day and night.")
T = TypeVar("T")
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
REF_CHARACTERS = 10


class Access:
    """`changed` is set whenever the doors' lists may be out of date. `roll`: fingerprint → credential."""

    def __init__(self, context: Context, settings: Settings, key: bytes) -> None:
        self.changed = asyncio.Event()
        self._previewing = asyncio.Lock()
        self.rule_book = RuleBook([], [], {}, {}, {}, [], [], 0)
        self.roll: dict[str, Listed] = {}
        self.names: dict[str, Person] = {}
        """Employees by id, as last read from the directory since the start."""
        self.key = key
        self._context = context
        self._settings = settings
        self._access: dict[str, tuple[int, DoorAccess]] = {}
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Read the rule book from the store. Loads are serialised, so that the latest one wins."""
        async with self._loading:
            await asyncio.to_thread(self._context.calendar.holidays, *_years(now()))
            book = await self._context.store.read(access_rows.rule_book)
            self.roll = await asyncio.to_thread(compiling.roll, book)
            self.rule_book = book
            self._access.clear()
            self.changed.set()

    async def refresh_employees(self) -> None:
        """Read the employees from the directory; without an answer the last ones stay."""
        answers = await self._context.hooks.all(employees)
        if not answers:
            return
        self.names = {person.id: person for answer in answers for person in answer}
        people = list(self.names.values())
        if await self._context.store.write(lambda connection: access_rows.save_people(connection, people)):
            await self.load()

    # -- deciding

    def decide(self, door_id: str, shown: Fingerprints, at: datetime, known: Circumstances) -> Decision:
        """Whether these fingerprints may pass this door."""
        return decide(self.for_door(door_id), self.roll, shown, at, known)

    async def foresee(self, door_id: str, at: datetime, refs: Collection[str] | None) -> list[Foreseen]:
        """The decision for each credential, or those in `refs`, at some time. Raises UnknownDoorError."""
        return await asyncio.to_thread(what_if.foresee, self.for_door(door_id), self.roll, at, refs)

    async def preview_changes(self, after: RuleBook) -> list[Change]:
        """How access in the coming week would differ with this rule book."""
        local = now().astimezone(self._context.site.zone)
        monday = (local - timedelta(days=local.weekday()) + timedelta(days=7)).replace(hour=0, minute=0)
        zones = {device.id: device.where.zone for device in self._context.devices.of_kind(door.KIND)}
        days = self._context.calendar.holidays(*_years(local))
        async with self._previewing:  # one at a time: it takes a second with many rules
            return await asyncio.to_thread(what_if.changes, self.rule_book, after, zones, monday, days)

    def for_door(self, door_id: str) -> DoorAccess:
        """The list that the hub itself decides by, which never expires. Cached. Raises UnknownDoorError."""
        year = now().astimezone(self._context.site.zone).year  # a compiled list has the holidays of two years
        found = self._access.get(door_id)
        if found is None or found[0] != year:
            found = self._access[door_id] = year, self.compile(door_id, self.zone(door_id), 1, NEVER)
        return found[1]

    def compile(self, door_id: str, zone: str, version: int, valid_until: datetime) -> DoorAccess:
        """A door's rules and settings as its list has them."""
        made_at = now()
        return compiling.access_of(
            door_id,
            zone,
            self.rule_book,
            pulse_ms=round(self._settings.pulse_seconds * 1000),
            time_zone=self._context.site.time_zone,
            holidays=self._context.calendar.holidays(*_years(made_at)),
            version=version,
            made_at=made_at,
            valid_until=valid_until,
        )

    def settings_of(self, door_id: str) -> DoorSettings:
        return self.rule_book.settings.get(door_id, DoorSettings())

    def zone(self, door_id: str) -> str:
        """Raises UnknownDoorError."""
        device = self._context.devices.get(door_id)
        if device is None or device.kind != door.KIND:
            raise UnknownDoorError(door_id)
        return device.where.zone

    # -- rules

    async def save_rule(self, rule: AccessRule, actor: str) -> int:
        """Create a rule (id 0) or change one; its number. Raises UnknownRuleError."""
        number = await self.write(lambda connection: access_rows.save_rule(connection, rule, actor))
        if not number:
            raise UnknownRuleError(rule.id)
        return number

    async def delete_rule(self, number: int, actor: str) -> None:
        """Raises UnknownRuleError."""
        if not await self.write(lambda connection: access_rows.delete_rule(connection, number, actor)):
            raise UnknownRuleError(number)

    async def save_settings(self, door_id: str, settings: DoorSettings, actor: str) -> None:
        """Raises UnknownDoorError, or MistakeError for an unknown interlock door or a schedule without hours."""
        if settings.opening is not None and not settings.opening.times.weekly:
            raise MistakeError(NO_HOURS)
        other = self._context.devices.get(settings.interlock_with) if settings.interlock_with else None
        if settings.interlock_with and (other is None or other.kind != door.KIND or other.id == door_id):
            raise MistakeError(N_("The other door of the sluice is no other door."))
        if not await self.write(lambda connection: access_rows.save_settings(connection, door_id, settings, actor)):
            raise UnknownDoorError(door_id)

    # -- credentials

    def card_fingerprint(self, bits: int, facility: int, number: int) -> str:
        """Raises CredentialError."""
        return self._of_card(card(bits, facility, number))

    def uid_fingerprint(self, identifier: bytes) -> str:
        return self._of_card(uid(identifier))

    def _of_card(self, shown: str) -> str:
        """The fingerprint of a card's canonical form, or of its other form where that is stored already."""
        forms = [fingerprint(self.key, form) for form in readings(shown)]
        return next((form for form in forms if form in self.roll), forms[0])

    async def add_card(
        self, shown: str, person: str | None, label: str, actor: str, *,
        first: datetime | None = None, until: datetime | None = None, in_lockdown: bool = False,
    ) -> str:  # fmt: skip
        """Add a card by its fingerprint; its pseudonym. Raises KnownCredentialError when somebody has it already."""
        credential = _credential("card", shown, person, label, first=first, until=until, in_lockdown=in_lockdown)
        return await self._add(credential, actor)

    async def give_pin(self, person: str, actor: str, *, opens_alone: bool, is_duress: bool = False) -> str:
        """Replace somebody's PIN; the new digits, which are stored nowhere."""
        kind = "duress" if is_duress else "pin"
        while True:
            digits = new_pin()
            credential = _credential(kind, fingerprint(self.key, pin(digits)), person, "", opens_alone=opens_alone)
            try:
                await self._add(credential, actor, instead_of=(person, kind))
            except KnownCredentialError:
                continue
            return digits

    async def end_credential(self, ref: str, why: str, actor: str) -> datetime:
        """Remove a lost or returned credential from every list; the time. Raises UnknownCredentialError."""
        at = await self.write(lambda connection: access_rows.end_credential(connection, ref, why, actor))
        if at is None:
            raise UnknownCredentialError(ref)
        return at

    async def restore_credential(self, ref: str, actor: str) -> None:
        """Raises UnknownCredentialError, or KnownCredentialError when somebody else has the card now."""
        if not await self.write(lambda connection: access_rows.restore_credential(connection, ref, actor)):
            raise UnknownCredentialError(ref)

    async def set_opens_in_lockdown(self, ref: str, actor: str, *, opens: bool) -> None:
        """Set whether a credential opens doors during a lockdown. Raises UnknownCredentialError."""
        values = {"in_lockdown": opens}
        if not await self.write(lambda connection: access_rows.change_credential(connection, ref, values, actor)):
            raise UnknownCredentialError(ref)

    async def recently_ended(self) -> list[Credential]:
        """The cards that were lost or returned last, and may be restored."""
        return await self._context.store.read(access_rows.recently_ended)

    async def _add(self, credential: Credential, actor: str, instead_of: tuple[str, str] | None = None) -> str:
        """`instead_of`: end all credentials of this (person, kind) in the same transaction."""

        def write(connection: Connection) -> None:
            if access_rows.has_fingerprint(connection, credential.fingerprint):
                raise KnownCredentialError(credential.ref)
            for old in access_rows.active_refs(connection, *instead_of) if instead_of else ():
                access_rows.end_credential(connection, old, "replaced", actor)
            access_rows.add_credential(connection, credential, actor)

        await self.write(write)
        return credential.ref

    async def write(self, write: Callable[[Connection], T]) -> T:
        """Write a change of the rule book to the store and load it again."""

        def work(connection: Connection) -> T:
            self._context.touch(connection, "access")
            return write(connection)

        done = await self._context.store.write(work)
        await self.load()
        return done


def _years(at: datetime) -> tuple[int, int]:
    """The years whose holidays a list contains."""
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
