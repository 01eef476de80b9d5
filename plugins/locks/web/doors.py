"""The page Doors: alarms first, then every door by floor, with its state, the state's age and the allowed orders."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import web

from devices.contract import door
from devices.contract.door import CONFIRMED_SECONDS, MAX_HOLD_SECONDS
from devices.contract.payload import clean
from hub.plugin import N_, Context, Device, MistakeError, Vitals, in_store, now
from hub.plugin.entities import STATES, NotAllowedError, OrderError, UnknownEntityError, UnreachableError
from hub.plugin.web import Form, number_in, see, session_of
from plugins.locks.doors.states import DoorStates
from plugins.locks.history.alarms import Alarms, UnknownAlarmError
from plugins.locks.history.found import NEEDS, FoundLock, FoundLocks
from plugins.locks.models import Command, DoorState, Order, TooManyCommandsError, UnknownDoorError
from plugins.locks.operating.lockdowns import Lockdowns
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import EDITORS, NEEDED, WHOLE_SITE, Permissions
from plugins.locks.rules.access import Access
from plugins.locks.store import alarm_rows
from plugins.locks.wording import DONE, HAPPENED, SUBJECTS, WHY

T = TypeVar("T")

READ_SECONDS = 1.0
VIEWERS = frozenset[Any]({"caretaker", "front_line", "it"})
MAX_REASON = 200
MAX_SHOWN = 12
NEWS = timedelta(minutes=2)


@dataclass(frozen=True)
class DoorView:
    """A door as a page shows it; `may`: the verbs that the session may send."""

    device: Device
    vitals: Vitals
    state: DoorState
    last: Command | None
    """The latest recent command by a person."""
    may: frozenset[str]
    pulse_seconds: float
    is_shut_down: bool
    """By order, whether the door knows it already or not."""

    @property
    def confirmed_at(self) -> datetime | None:
        return None if self.state.age_seconds is None else now() - timedelta(seconds=self.state.age_seconds)

    @property
    def is_fresh(self) -> bool:
        """Confirmed within CONFIRMED_SECONDS. Open pages are updated when it no longer is."""
        return self.state.age_seconds is not None and self.state.age_seconds <= CONFIRMED_SECONDS

    @property
    def held_until(self) -> datetime | None:
        """When a door that is held open locks again."""
        if self.state.mode != "held_open" or not self.state.hold_seconds:
            return None
        return now() + timedelta(seconds=self.state.hold_seconds)


class DoorPages:
    def __init__(
        self,
        context: Context,
        access: Access,
        locks: Locks,
        states: DoorStates,
        lockdowns: Lockdowns,
        alarms: Alarms,
        found: FoundLocks,
        permissions: Permissions,
    ) -> None:
        self._context = context
        self._access = access
        self._locks = locks
        self._states = states
        self._lockdowns = lockdowns
        self._alarms = alarms
        self._found = found
        self._permissions = permissions
        pages = context.pages
        pages.page("/doors", VIEWERS, self.doors)
        pages.page("/doors/parts/now", VIEWERS, self.doors_now)
        pages.page("/doors/parts/log", VIEWERS, self.doors_log)
        self.command_roles = permissions.roles("pulse") | permissions.roles("resume")
        """Roles that may send some command to some door."""
        pages.action(
            "/doors/lockdown",
            permissions.roles("lockdown"),
            self.lockdown,
            Form(must=("zone", "is_on", "reason"), choices={"is_on": ("yes", "no")}),
            asks_again=True,
        )
        pages.action(
            "/doors/found/{entity}",
            self.command_roles,
            self.command_found,
            Form(must=("verb",), may=("reason",)),
            asks_again=True,
        )
        pages.action("/doors/alarms/{alarm}", VIEWERS - {"it"}, self.acknowledge, Form(may=("to", "reason")))

    async def doors(self, request: web.Request) -> web.StreamResponse:
        return await self._list(request)

    async def _list(
        self, request: web.Request, mistake: MistakeError | None = None, status: int = 200
    ) -> web.StreamResponse:
        values = await self._now(request) | await self._log()
        return await self._context.pages.render(request, "doors.html", status=status, mistake=mistake, **values)

    async def doors_now(self, request: web.Request) -> web.StreamResponse:
        """The live part of the page."""
        return await self._context.pages.part(request, "doors_now.html", **await self._now(request))

    async def doors_log(self, request: web.Request) -> web.StreamResponse:
        return await self._context.pages.part(request, "doors_log.html", **await self._log())

    async def _log(self) -> dict[str, Any]:
        commands = await self._or_nothing(self._locks.commands_by_people())
        reports = await self._or_nothing(self._locks.latest_reports())
        return self.words | {
            "names": self._names(),
            "commands": commands[:MAX_SHOWN],
            "reports": reports[:MAX_SHOWN],
            "grave": alarm_rows.GRAVE,
        }

    async def _or_nothing(self, reading: Awaitable[list[T]]) -> list[T]:
        """The result, or an empty list while the database is away: the doors' states are shown nevertheless."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await reading
        except TimeoutError:
            return []
        except Exception as error:
            if not in_store(error):
                raise
            return []

    def _names(self) -> dict[str, str]:
        doors = {device.id: device.name for device in self._context.devices.of_kind(door.KIND)}
        return doors | {lock.id: lock.name for lock in self._found.all()}

    async def _now(self, request: web.Request) -> dict[str, Any]:
        commands = await self._or_nothing(self._locks.commands_by_people())
        found = [self.view(request, device, commands) for device in self._context.devices.of_kind(door.KIND)]
        floors: dict[str, list[DoorView]] = defaultdict(list)
        for view in sorted(found, key=lambda view: view.device.name):
            where = view.device.where
            floors[", ".join(part for part in (where.site, where.building, where.floor) if part)].append(view)
        zones = sorted({view.device.where.zone for view in found if view.device.where.zone})
        roles = session_of(request).roles
        return {
            "found_locks": [(lock, self._allowed_verbs(request, lock)) for lock in self._found.all()],
            "states": STATES,
            "floors": sorted(floors.items()),
            "names": self._names(),
            "alarms": await self._or_nothing(self._alarms.active()),
            "lockdowns": await self._or_nothing(self._lockdowns.current()),
            "is_from_memory": self._context.store.problem is not None,
            "zones": [zone for zone in (WHOLE_SITE, *zones) if self._permissions.may(roles, "lockdown", zone)],
            "named": sum(credential.in_lockdown for credential in self._access.rule_book.credentials),
            "may_name": bool(roles & EDITORS),
            "may_acknowledge": bool(roles & {"caretaker", "front_line"}),
            **self.words,
        }

    @property
    def words(self) -> dict[str, Any]:
        """Texts that all templates of doors need."""
        return {"done": DONE, "happened": HAPPENED, "why": WHY, "subjects": SUBJECTS}

    def view(self, request: web.Request, device: Device, commands: list[Command]) -> DoorView:
        roles = session_of(request).roles
        return DoorView(
            device,
            self._context.devices.vitals(device.id),
            self._states.of(device.id),
            next(
                (command for command in commands if command.door == device.id and command.asked_at > now() - NEWS), None
            ),
            frozenset(verb for verb in NEEDED if self._permissions.may(roles, verb, device.where.zone)),
            self._access.for_door(device.id).pulse_ms / 1000,
            self._access.for_door(device.id).lockdown,
        )

    async def order(self, request: web.Request) -> web.StreamResponse:
        """An order from any page; the field `to` is the page to return to. Raises MistakeError."""
        sent, door_id, session = await request.post(), request.match_info["door"], session_of(request)
        try:
            order = self._order(sent, door_id)
            if not self._permissions.may(session.roles, order.verb, self._access.zone(door_id)):
                raise web.HTTPForbidden(text="Your role may not do this with this door.")
            await self._locks.send(door_id, order, session.account, optional_reason(sent))
        except UnknownDoorError:
            raise web.HTTPNotFound(text="There is no such door.") from None
        except TooManyCommandsError:
            raise web.HTTPTooManyRequests(text="This door has been told too often. Wait a minute.") from None
        return see(f"/doors/{door_id}" if sent.get("to") == "door" else f"/doors#door-{door_id}")

    def _allowed_verbs(self, request: web.Request, lock: FoundLock) -> list[str]:
        roles = session_of(request).roles
        return [
            verb
            for verb in lock.verbs
            if lock.is_allowed and lock.is_there and self._permissions.may(roles, NEEDS[verb], lock.place.zone)
        ]

    async def command_found(self, request: web.Request) -> web.StreamResponse:
        """Order a found lock. The page shows the result when the lock reports it."""
        sent, lock = await request.post(), self._found.get(request.match_info["entity"])
        if lock is None:
            raise web.HTTPNotFound(text="There is no such lock.")
        verb, session = str(sent.get("verb", "")), session_of(request)
        if verb not in self._allowed_verbs(request, lock):
            raise web.HTTPForbidden(text="Your role may not do this with this lock, or an administrator must allow it.")
        try:
            await self._context.command(lock.id, verb, reason=optional_reason(sent), actor=session.account)
        except (UnknownEntityError, UnreachableError, NotAllowedError, OrderError) as error:
            raise web.HTTPConflict(text=str(error)) from None
        return see(f"/doors#found-{quote(lock.id)}")

    async def lockdown(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        zone, session = str(clean(str(sent.get("zone", "")))), session_of(request)
        if not self._permissions.may(session.roles, "lockdown", zone):
            raise web.HTTPForbidden(text="Your role may not shut down this zone.")
        zones = {device.where.zone for device in self._context.devices.of_kind(door.KIND)}
        if sent["is_on"] == "yes" and zone and zone not in zones:
            raise web.HTTPBadRequest(text="No door is in this zone.")
        change = self._lockdowns.begin if sent["is_on"] == "yes" else self._lockdowns.end
        try:
            await change(zone, session.account, required_reason(sent))
        except MistakeError as mistake:
            return await self._list(request, mistake, 422)
        return see("/doors")

    async def acknowledge(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        with suppress(UnknownAlarmError):  # somebody else was quicker: the page shows it
            await self._alarms.acknowledge(
                number_in(request.match_info["alarm"]) or 0, session_of(request).account, optional_reason(sent)
            )
        to = str(sent.get("to", ""))
        return see(
            f"/doors/{to}" if to in (device.id for device in self._context.devices.of_kind(door.KIND)) else "/doors"
        )

    def _order(self, sent: Any, door_id: str) -> Order:
        """Raises MistakeError."""
        if "enter" in sent:
            raise MistakeError(N_("Press the button of what the door shall do."))
        match "hold_open" if "hold" in sent else str(sent.get("verb", "")):
            case "pulse":
                return self._locks.pulse_order(door_id)
            case "hold_open":
                return Order("hold_open", hold_seconds=self._hold_seconds(sent))
            case "lock" | "resume" as verb:
                return Order(verb)
            case _:
                raise web.HTTPBadRequest(
                    text="verb is one of pulse, lock, resume; or hold says for how long it is held open."
                )

    def _hold_seconds(self, sent: Any) -> int:
        """From the minutes in `hold`, or until the next time that it is `until`. Raises MistakeError."""
        until = str(sent.get("until", ""))
        if minutes := number_in(str(sent.get("hold", "")), MAX_HOLD_SECONDS // 60):
            return minutes * 60
        try:
            clock = datetime.strptime(until, "%H:%M").time()  # noqa: DTZ007 (a time of day)
        except ValueError:
            raise MistakeError(N_("Say until when it is held open, such as 15:30.")) from None
        local = now().astimezone(self._context.site.zone)
        end = local.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        if end <= local:
            end = (local + timedelta(days=1)).replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        seconds = round((end.astimezone(UTC) - local.astimezone(UTC)).total_seconds())
        if seconds > MAX_HOLD_SECONDS:
            raise MistakeError(
                N_("%(time)s has passed today, or is more than %(hours)s hours away: no door is held open so long."),
                time=until,
                hours=MAX_HOLD_SECONDS // 3600,
            )
        return max(seconds, 1)


def required_reason(sent: Any) -> str:
    """The reason in a form that must have one. Raises MistakeError."""
    if not (reason := optional_reason(sent).strip()):
        raise MistakeError(N_("Say why: it stands in the audit log."))
    return reason


def optional_reason(sent: Any) -> str:
    """The reason in a form, for the audit log; empty when there is none."""
    return str(clean(str(sent.get("reason", ""))))[:MAX_REASON]
