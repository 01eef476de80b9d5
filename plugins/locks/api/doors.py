"""Doors, opening one, and what happened at them, for programs."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints
from sqlalchemy import Connection

from devices.contract import door
from devices.contract.payload import Id, clean
from hub.plugin import Context, Device, audit
from hub.plugin.api import (
    Call,
    Caller,
    Document,
    Nothing,
    Page,
    PageQuery,
    ProblemError,
    Query,
    Request,
    found,
    operation,
    page_of,
)
from hub.plugin.hooks import Role
from plugins.locks.doors.states import DoorStates
from plugins.locks.history.alarms import Alarms, UnknownAlarmError
from plugins.locks.models import Command, Result, Severity, TooManyCommandsError, UnknownDoorError
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import WHOLE_SITE, Permissions
from plugins.locks.store import rows

MAX_REASON = 200
RETRY_SECONDS = 60
MAX_PASSAGES = 1000


Reason = Annotated[str, BeforeValidator(clean), StringConstraints(max_length=MAX_REASON)]
GivenReason = Annotated[
    str, BeforeValidator(clean), StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON)
]


class DoorPath(Query):
    door: Id


class DoorDocument(Document):
    """A door. Its state is unknown without a confirmation younger than 30 s."""

    id: Id
    name: str
    place: str
    is_alive: bool
    lock: door.Lock
    contact: door.Contact
    age_seconds: float | None = Field(description="how old the state is; null: none has come")
    mode: door.Mode = Field(description="it follows its schedule, is held open, or is locked until that is taken back")
    hold_seconds: int = Field(description="how long it is still held open")
    is_locked_down: bool
    power: door.Power | None = Field(description="what the lock does without power; null: not heard yet")
    list_version: int = Field(description="of the access list that it has; 0: none")
    list_until: datetime | None = Field(description="so long it can decide by itself")
    inputs: list[str] = Field(description="what is set of fire, tamper, mains_lost, reader_lost")


class DoorPage(Page[DoorDocument]):
    """Doors by id."""


class Pulse(Request):
    """Open the door for a moment."""

    reason: Reason = Field(default="", description="stands in the audit log")


class PulseResult(Document):
    """`done` only on the door's own signed word; `unknown` when it gave none; `refused`: it did not open."""

    result: Result


class CommandDocument(Document):
    """Somebody has told a door something, or shown something at it."""

    id: Id
    door: Id
    verb: str
    pulse_ms: int
    actor: str
    reason: str
    audit: int = Field(description="the intent's number in the audit log")
    asked_at: datetime
    outcome: Result | None = Field(description="null: not yet; of a denial `done`: it was denied")
    outcome_reason: str | None
    ended_at: datetime | None
    hold_seconds: int | None
    why: str | None = Field(description="of a denial")


class CommandPage(Page[CommandDocument]):
    """The latest commands, the newest first."""


class PassageDocument(CommandDocument):
    """What was shown at a door, and what came of it."""

    credential: str | None = Field(description="as a pseudonym; null: nobody's, or the door's log does not tell")


class PassagePage(Page[PassageDocument]):
    """The latest passages and denials, the newest first."""


class ReportDocument(Document):
    """What a door has told of itself."""

    door: Id
    id: str
    kind: str
    reason: str | None
    count: int
    happened_at: datetime
    received_at: datetime


class ReportPage(Page[ReportDocument]):
    """The latest reports, the newest first."""


class AlarmPath(Query):
    alarm: int = Field(ge=1, le=2**31 - 1)


class AlarmDocument(Document):
    """What somebody should look at. Nothing in it is about a person."""

    id: int
    door: Id
    kind: str
    severity: Severity
    count: int
    first_at: datetime
    last_at: datetime
    over_at: datetime | None = Field(description="it has ended by itself")


class AlarmPage(Page[AlarmDocument]):
    """Alarms that nobody has acknowledged, and warnings that last."""


class Acknowledgement(Request):
    note: Reason = Field(default="", description="what was found")


def must_reach(permissions: Permissions, caller: Caller, verb: str, device: Device | None) -> None:
    """A session's roles may not reach this zone: raises the problem forbidden. Tokens are narrowed by scopes alone."""
    zone = device.where.zone if device else WHOLE_SITE
    if caller.scopes is None and not permissions.may(caller.roles, verb, zone):
        raise ProblemError("forbidden", "The session's roles do not reach this door.")


READ: dict[str, Any] = {"scope": "doors:read", "roles": {"caretaker", "front_line", "it"}}


class DoorApi:
    def __init__(
        self,
        context: Context,
        permissions: Permissions,
        may_search_people: frozenset[Role],
        locks: Locks,
        states: DoorStates,
        alarms: Alarms,
    ) -> None:
        """Only somebody with all roles of `may_search_people` may grant the scope that reveals whose card it was."""
        self._context = context
        self._permissions = permissions
        self._may_search_people = may_search_people
        self._alarms = alarms
        self._locks = locks
        self._states = states

    @operation("GET", "/doors", summary="Doors", **READ)
    async def doors(self, call: Call[Nothing, PageQuery, Nothing]) -> DoorPage:
        part, following = page_of(self._context.devices.of_kind(door.KIND), lambda device: device.id, call.query)
        return DoorPage(items=[self._document(device) for device in part], next=following)

    @operation("GET", "/doors/{door}", summary="One door", **READ)
    async def door(self, call: Call[DoorPath, Nothing, Nothing]) -> DoorDocument:
        device = self._context.devices.get(call.path.door)
        return self._document(found(device if device is not None and device.kind == door.KIND else None, "such door"))

    @operation(
        "POST",
        "/doors/{door}/pulse",
        summary="Open a door for a moment",
        scope="doors:open",
        roles=lambda self: self._permissions.roles("pulse"),
        asks_again=True,
    )
    async def pulse(self, call: Call[DoorPath, Nothing, Pulse]) -> PulseResult:
        must_reach(self._permissions, call.caller, "pulse", self._context.devices.get(call.path.door))
        try:
            result = await self._locks.pulse(call.path.door, call.caller.name, call.body.reason)
        except UnknownDoorError:
            raise ProblemError("not-found", "There is no such door.") from None
        except TooManyCommandsError:
            raise ProblemError(
                "too-many-requests",
                "This door has been opened too often.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            ) from None
        return PulseResult(result=result)

    @operation("GET", "/door-commands", summary="Who opened which door", is_personal=True, **READ)
    async def commands(self, call: Call[Nothing, PageQuery, Nothing]) -> CommandPage:
        commands, _ = await self._locks.history()
        part, following = page_of(commands, _by_time, call.query, newest_first=True)
        return CommandPage(items=[CommandDocument.model_validate(command) for command in part], next=following)

    @operation(
        "GET",
        "/door-passages",
        summary="What was shown at doors and decided by the hub, and by which card; the audit log says who asked",
        scope="passages:read",
        roles=lambda self: self._may_search_people,
        all_roles=True,
        is_personal=True,
    )
    async def passages(self, call: Call[Nothing, PageQuery, Nothing]) -> PassagePage:
        if call.caller.scopes is None:
            raise ProblemError("forbidden", "For tokens only: people search passages on the console, with a reason.")

        def read(connection: Connection) -> list[Command]:
            audit.record(connection, call.caller.name, "passages.read", "*")
            return rows.latest_commands(connection, MAX_PASSAGES, by="reader")

        shown = await self._context.store.write(read)
        part, following = page_of(shown, _by_time, call.query, newest_first=True)
        return PassagePage(items=[PassageDocument.model_validate(command) for command in part], next=following)

    @operation("GET", "/door-reports", summary="What doors told", **READ)
    async def reports(self, call: Call[Nothing, PageQuery, Nothing]) -> ReportPage:
        _, reports = await self._locks.history()
        part, following = page_of(
            reports,
            lambda report: f"{report.received_at.isoformat(timespec='microseconds')} {report.door} {report.id}",
            call.query,
            newest_first=True,
        )
        return ReportPage(items=[ReportDocument.model_validate(report) for report in part], next=following)

    @operation("GET", "/door-alarms", summary="What to look at", **READ)
    async def alarms(self, call: Call[Nothing, PageQuery, Nothing]) -> AlarmPage:
        part, following = page_of(
            await self._alarms.active(), lambda alarm: f"{alarm.id:012}", call.query, newest_first=True
        )
        return AlarmPage(items=[AlarmDocument.model_validate(alarm) for alarm in part], next=following)

    @operation(
        "POST",
        "/door-alarms/{alarm}/acknowledge",
        summary="Somebody has looked",
        scope="doors:stand",
        roles={"caretaker", "front_line"},
    )
    async def acknowledge(self, call: Call[AlarmPath, Nothing, Acknowledgement]) -> None:
        try:
            await self._alarms.acknowledge(call.path.alarm, call.caller.name, call.body.note)
        except UnknownAlarmError:
            raise ProblemError("not-found", "There is no such alarm, or it has been acknowledged.") from None

    def _document(self, device: Device) -> DoorDocument:
        state = self._states.of(device.id)
        return DoorDocument(
            id=device.id,
            name=device.name,
            place=device.place,
            is_alive=self._context.devices.vitals(device.id).is_alive,
            lock=state.lock,
            contact=state.contact,
            age_seconds=state.age_seconds,
            mode=state.mode,
            hold_seconds=state.hold_seconds,
            is_locked_down=state.lockdown,
            power=state.power,
            list_version=state.list_version,
            list_until=state.list_until,
            inputs=list(state.inputs),
        )


def _by_time(command: Command) -> str:
    return f"{command.asked_at.isoformat(timespec='microseconds')} {command.id}"
