"""Commands to doors (DESIGN § 2): commit the intent, challenge, signed command, commit the outcome."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from devices.contract import door
from devices.contract.payload import new_id
from hub.plugin import Context, Device, Limiter, Run, in_parts, now
from plugins.locks.config import Settings
from plugins.locks.doors.mqtt import DoorTopics, NoContactError
from plugins.locks.doors.states import DoorStates
from plugins.locks.models import Command, Order, Report, Result, TooManyCommandsError, UnknownDoorError
from plugins.locks.rules.access import Access
from plugins.locks.store import alarm_rows, pass_rows, rows
from plugins.locks.trust.hub_keys import HubKeys
from plugins.locks.trust.signing import SigningError

log = structlog.get_logger("locks")

OUTCOME_SECONDS = 10.0
LOOK_SECONDS = 2.0
ROUTINE = ("list_taken",)
"""Events that every door sends after each change of a list; pages leave them out."""


class _NoOutcomeError(Exception):
    """The exchange ended without an outcome from the door; how the command is recorded."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(result, reason)
        self.result = result
        self.reason = reason


class Locks:
    def __init__(
        self,
        context: Context,
        settings: Settings,
        access: Access,
        hub_keys: HubKeys,
        doors: DoorTopics,
        states: DoorStates,
    ) -> None:
        self._context = context
        self._settings = settings
        self._access = access
        self._hub_keys = hub_keys
        self._doors = doors
        self._states = states
        self._outcomes: dict[tuple[str, str], asyncio.Future[door.Outcome]] = {}
        """Pending outcomes by (door, command)."""
        self._limit = Limiter(settings.commands_per_minute, 60)
        self._began_at = now()

    # -- what people do

    async def pulse(self, door_id: str, actor: str, reason: str = "") -> Result:
        """Open the door for a moment, as `send`."""
        return await self.send(door_id, self.pulse_order(door_id), actor, reason)

    def pulse_order(self, door_id: str) -> Order:
        """A pulse of the length in this door's settings. Raises UnknownDoorError."""
        return Order("pulse", pulse_ms=self._access.for_door(door_id).pulse_ms)

    async def send(self, door_id: str, order: Order, actor: str, reason: str = "") -> Result:
        """Send an order and wait for its outcome: "done" only when the door has signed so; no answer is "unknown".

        Raises UnknownDoorError or TooManyCommandsError, and then nothing was intended.
        """
        device = self._door(door_id)
        if self._limit.wait_seconds(door_id):
            raise TooManyCommandsError(door_id)
        command = new_id()
        row = {"id": command, "door": door_id, "actor": actor, "reason": reason, "asked_at": now()}
        audit_number = await self._context.store.write(lambda connection: rows.intend(connection, row, order))
        self._context.live.touch("doors")
        try:
            outcome = await self._exchange(device, command, order, audit_number)
        except _NoOutcomeError as ending:
            await self._end(door_id, command, ending.result, ending.reason)
            return ending.result
        return outcome.result  # committed when it came in

    async def send_all(self, doors: Iterable[str], order: Order, actor: str, reason: str) -> dict[str, Result]:
        """Several doors concurrently; "refused" for those without contact or over the rate limit."""

        async def one(door_id: str) -> Result:
            if not self._context.devices.vitals(door_id).is_alive:
                return "refused"
            try:
                return await self.send(door_id, order, actor, reason)
            except TooManyCommandsError:
                return "refused"

        wanted = [door_id for door_id in doors if door_id in self._states]
        async with asyncio.TaskGroup() as group:
            tasks = {door_id: group.create_task(one(door_id)) for door_id in wanted}
        return {door_id: task.result() for door_id, task in tasks.items()}

    def _door(self, door_id: str) -> Device:
        device = self._context.devices.get(door_id)
        if device is None or device.kind != door.KIND or door_id not in self._states:
            raise UnknownDoorError(door_id)
        return device

    async def _exchange(self, device: Device, command: str, order: Order, audit_number: int) -> door.Outcome:
        """Failures before the signed command is sent are "refused"; afterwards the result is "unknown"."""
        outcome: asyncio.Future[door.Outcome] = asyncio.get_running_loop().create_future()
        self._outcomes[device.id, command] = outcome
        try:
            self._doors.command(device, await self._signed(device, command, order, audit_number))
            async with asyncio.timeout(OUTCOME_SECONDS):
                return await outcome
        except NoContactError:
            raise _NoOutcomeError("refused", "no_contact") from None
        except TimeoutError:
            raise _NoOutcomeError("unknown", "no_answer") from None
        finally:
            del self._outcomes[device.id, command]

    async def _signed(self, device: Device, command: str, order: Order, audit_number: int) -> door.Signed:
        try:
            challenge = await self._doors.challenge(device, command)
            return await self._hub_keys.sign(
                door.Command(door=device.id, command=command, nonce=challenge.nonce, audit=audit_number, **vars(order))
            )
        except TimeoutError:
            raise _NoOutcomeError("refused", "door_silent") from None
        except SigningError as error:
            log.error("command_not_signed", door=device.id, problem=str(error))  # noqa: TRY400 (the text says all)
            raise _NoOutcomeError("refused", "not_signed") from None

    async def _end(self, door_id: str, command: str, result: Result, reason: str | None) -> bool:
        """False when no such command was sent to this door."""
        at = now()

        def write(connection: Connection) -> bool:
            if not rows.is_of(connection, command, door_id):
                return False
            rows.end(connection, command, result, reason, at)
            self._context.touch(connection, "doors")
            return True

        return await self._context.store.write(write)

    # -- what doors answer

    async def outcome(self, outcome: door.Outcome) -> bool:
        """Committed when it returns, so that the receipt can be sent. False: no such command was sent to this door."""
        is_known = await self._end(outcome.door, outcome.command, outcome.result, outcome.reason)
        waiting = self._outcomes.get((outcome.door, outcome.command))
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)
        return is_known

    async def end_open_commands(self) -> None:
        """Run forever: record commands without an outcome, also from before a restart, as unknown (I5)."""
        await self._end_open_before(self._began_at, "hub_restarted")
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._end_open_before(now() - timedelta(seconds=2 * OUTCOME_SECONDS), "no_answer")

    async def _end_open_before(self, at: datetime, why: str) -> None:
        after = now() + timedelta(seconds=OUTCOME_SECONDS)
        found = await self._context.store.read(lambda connection: rows.open_commands(connection, at, after))
        for door_id, command in found:
            if (door_id, command) not in self._outcomes:
                await self._end(door_id, command, "unknown", why)

    # -- what pages show

    async def history(self) -> tuple[list[Command], list[Report]]:
        """The latest commands and reports, including access requests and routine events."""
        return await self._context.store.read(
            lambda connection: (rows.latest_commands(connection), rows.latest_reports(connection))
        )

    async def commands_by_people(self) -> list[Command]:
        """The latest commands, without access requests."""
        return await self._context.store.read(lambda connection: rows.latest_commands(connection, by="people"))

    async def latest_reports(self) -> list[Report]:
        """The latest reports, without routine events."""
        return await self._context.store.read(lambda connection: rows.latest_reports(connection, without=ROUTINE))

    async def count_commands(self) -> int:
        return await self._context.store.read(rows.count_commands)

    async def delete_expired(self, run: Run) -> None:
        """Delete what is older than `keep_days`."""
        del run
        before = now() - timedelta(days=self._settings.keep_days)
        await in_parts(self._context.store, lambda connection: rows.forget_part(connection, before))
        await self._context.store.write(lambda connection: _forget(connection, before))


def _forget(connection: Connection, before: datetime) -> None:
    alarm_rows.forget(connection, before)
    pass_rows.forget(connection, before)
