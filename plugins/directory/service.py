"""Reads the directory periodically: check, compare and store; the last people stay while the source is down."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from hub.plugin import N_, Context, PersonIds, audit, now
from hub.plugin.hooks import Health, Login
from hub.plugin.settings import usable_address
from plugins.directory.config import Settings
from plugins.directory.contract import employees_changed, presence_changed
from plugins.directory.entries import DirectoryError, Source, employee_of, first_value, is_disabled, referral_notice
from plugins.directory.models import Employee, folded
from plugins.directory.people import People, sorted_by_name
from plugins.directory.safety import Protection, Tally, doubts, unmatched
from plugins.directory.tables import person, presence, reading

log = structlog.get_logger("directory")

FIRST_RETRY_SECONDS = 10.0
AFTER_STORE_SECONDS = 2.0
CANARY_LOG_INTERVAL, CANARY_ALERT_LASTS = timedelta(minutes=10), timedelta(days=1)
FEW = 10
"""Below this many people a large part may well leave at once."""


class Directory:
    def __init__(self, context: Context, settings: Settings, people: People, source: Source, ids: PersonIds) -> None:
        self.read_at: datetime | None = None
        self.problem: str | None = None
        """Why the last reading failed or was rejected."""
        self.note: str | None = None
        """What was odd about the last accepted reading."""
        self.unusable_mails: list[Employee] = []
        """People without a usable mail address, as of the last reading."""
        self.canaries: dict[str, datetime] = {}
        self._context = context
        self._settings = settings
        self._people = people
        self._source = source
        self._ids = ids
        self._read_requested = asyncio.Event()
        self._accept_loss = False
        self._protection: Protection | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="directory")
        self._logins = ThreadPoolExecutor(2, thread_name_prefix="directory-login")

    async def load(self) -> None:
        """Read the people from the store."""
        employees, present, self.read_at, self._protection = await self._context.store.read(_stored)
        self._people.replace(employees, present)

    async def read_periodically(self) -> None:
        """Run forever; failures, also of the store, are reported and retried."""
        usual: float = self._settings.every_minutes * 60
        failures = 0
        while True:
            self._read_requested.clear()
            try:
                await self.read_now()
                wait, failures = usual, 0
            except DirectoryError as error:
                self._record_failure(str(error))
                wait, failures = min(FIRST_RETRY_SECONDS * 2 ** min(failures, 20), usual), failures + 1
            except SQLAlchemyError as error:
                self._record_failure(f"what was read could not be stored ({type(error).__name__})")
                wait = AFTER_STORE_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._read_requested.wait()

    def close(self) -> None:
        """Shut the threads down, when the plugin stops."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._logins.shutdown(wait=False, cancel_futures=True)

    def request_read(self, *, accept_loss: bool) -> None:
        """Request a reading now; `accept_loss` accepts it even if many people are gone."""
        self._accept_loss = accept_loss
        self._read_requested.set()

    async def read_now(self) -> None:
        """Read and store. Raises DirectoryError, and the last people stay."""
        found, protection = await asyncio.get_running_loop().run_in_executor(self._reader, self._read)
        before, after = {employee.id for employee in self._people}, {employee.id for employee in found}
        lost = len(before - after)
        if lost > FEW and lost > len(before) * self._settings.most_removed and not self._accept_loss:
            raise DirectoryError(
                f"{lost} of {len(before)} people are gone at once. That looks like a fault of the directory, so "
                "nobody was removed; if it is right, accept it on the page People"
            )
        by_id = {employee.id: employee for employee in found}
        why = await asyncio.to_thread(doubts, self._protection, protection, by_id, self._settings)
        if why and not self._accept_loss:
            raise DirectoryError(
                f"{'; '.join(why)}. That would show or let in people who are protected or left out, so the reading was "
                "not taken; look at the access rules of the directory, or accept it on the page People"
            )
        self._accept_loss = False
        read_at = now()
        is_first, has_changed = self.read_at is None, await asyncio.to_thread(_differ, list(self._people), found)
        if has_changed:
            await self._context.store.write(lambda connection: _save(connection, found, read_at, protection))
        else:
            await self._context.store.write(lambda connection: _save_reading(connection, read_at, protection))
        await self.load()
        self.problem = None
        self.note = await asyncio.to_thread(self._note_on, found)
        self._context.live.touch("people")
        await self._context.hooks.all(presence_changed)
        if is_first or has_changed:
            await self._context.hooks.all(employees_changed)

    def _note_on(self, found: list[Employee]) -> str | None:
        notes = [referral_notice(self._source.referrals)] if self._source.referrals else []
        if unknown := unmatched(self._settings, found):
            notes.append(f"nobody works in the protected units {', '.join(unknown)}, so that they protect nobody")
        if self._people.canary_resembles_somebody():
            notes.append("the canary begins as somebody's name does, so that their visitors set it off: choose another")
        return "; ".join(notes) or None

    async def set_presence(self, employee: Employee, *, is_in: bool, actor: str) -> None:
        def write(connection: Connection) -> None:
            connection.execute(delete(presence).where(presence.c.person == employee.id))
            connection.execute(insert(presence), {"person": employee.id, "is_in": is_in, "since": now()})
            audit.record(connection, actor, "presence.set", employee.id, {"is_in": is_in})
            self._context.touch(connection, "people")

        await self._context.store.write(write)
        self._people.set_presence(employee.id, is_in=is_in)
        await self._context.hooks.all(presence_changed)

    async def authenticate(self, name: str, password: str) -> Login | None:
        loop = asyncio.get_running_loop()
        try:
            roles = await loop.run_in_executor(self._logins, self._source.roles, name, password)
        except DirectoryError as error:
            self._record_failure(str(error))
            return None
        return Login(name, roles, "directory") if roles else None

    async def login_now(self, name: str) -> Login | None:
        """The current roles; None also while the directory does not answer, so that a session goes on."""
        loop = asyncio.get_running_loop()
        try:
            roles = await loop.run_in_executor(self._logins, self._source.roles_now, name)
        except DirectoryError:
            return None
        return None if roles is None else Login(name, roles, "directory")

    async def record_canary(self, device: str) -> None:
        """Somebody found the canary at this device: alert desk and IT, and audit it once in a while."""
        at = now()
        known = self.canaries.get(device)
        self.canaries[device] = at
        if known is not None and at - known < CANARY_LOG_INTERVAL:
            return
        log.warning("canary_found", device=device)
        self._context.live.touch("plugins")

        def write(connection: Connection) -> None:
            audit.record(connection, device, "canary.found", device)
            self._context.touch(connection, "people")

        await self._context.store.write(write)

    def alarms(self) -> dict[str, datetime]:
        """Device → when the canary was last found there, within a day."""
        return {device: at for device, at in self.canaries.items() if now() - at < CANARY_ALERT_LASTS}

    def health(self) -> Health:
        figures: dict[str, str | int | float] = {N_("people"): len(self._people)}
        if self.read_at is not None:
            figures[N_("minutes since the directory was read")] = round((now() - self.read_at).total_seconds() / 60)
        count = len(self.unusable_mails)
        unusable = f"{count} mail addresses cannot be used: see the page People" if count else None
        if alarms := ", ".join(sorted(self.alarms())):
            return Health(f"somebody goes through the names of employees: {alarms}", figures)
        return Health(self.problem or self.note or unusable, figures)

    def _read(self) -> tuple[list[Employee], Protection]:
        """Runs in the reader's thread."""
        tally, people = Tally(self._settings, self._ids), {}
        for entry in self._source.entries():
            key, names = first_value(entry, self._settings.attributes.id), self._settings.disabled_when
            tally.count(key, entry, is_disabled=is_disabled(entry, names))
            if (employee := employee_of(entry, self._settings, self._ids)) is not None:
                people[employee.id] = employee
        found = list(people.values())
        self.unusable_mails = [
            employee for employee in found if employee.mail is not None and not _is_usable(employee.mail)
        ]
        return found, tally.result(found)

    def _record_failure(self, problem: str) -> None:
        self.problem = problem
        log.warning("directory_read_failed", people=len(self._people))
        self._context.live.touch("people")
        self._context.live.touch("plugins")


def _differ(before: list[Employee], after: list[Employee]) -> bool:
    return set(before) != set(after)


def _is_usable(address: str) -> bool:
    try:
        usable_address(address)
    except ValueError:
        return False
    return True


def _stored(
    connection: Connection,
) -> tuple[dict[str, Employee], dict[str, datetime], datetime | None, Protection | None]:
    employees = sorted_by_name(
        Employee(
            row.id,
            row.name,
            row.unit,
            row.title,
            row.mail,
            row.phone,
            row.mobile,
            tasks=tuple(row.tasks),
            groups=tuple(row.groups),
            words=folded(row.name),
        )
        for row in connection.execute(select(person))
    )
    present = {row.person: row.since for row in connection.execute(select(presence)) if row.is_in}
    last = connection.execute(select(reading)).first()
    if last is None:
        return employees, present, None, None
    protection = None if last.protection is None else Protection.from_stored(last.protection)
    return employees, present, last.read_at, protection


def _save(connection: Connection, employees: list[Employee], read_at: datetime, protection: Protection) -> None:
    """Replace all rows in one transaction."""
    connection.execute(delete(person))
    if employees:
        connection.execute(
            insert(person),
            [
                {
                    "id": employee.id,
                    "name": employee.name,
                    "unit": employee.unit,
                    "title": employee.title,
                    "mail": employee.mail,
                    "phone": employee.phone,
                    "mobile": employee.mobile,
                    "tasks": list(employee.tasks),
                    "groups": list(employee.groups),
                }
                for employee in employees
            ],
        )
    connection.execute(delete(presence).where(presence.c.person.not_in(select(person.c.id))))
    _save_reading(connection, read_at, protection)


def _save_reading(connection: Connection, read_at: datetime, protection: Protection) -> None:
    connection.execute(delete(reading))
    connection.execute(insert(reading), {"id": 1, "read_at": read_at, "protection": protection.as_stored()})
