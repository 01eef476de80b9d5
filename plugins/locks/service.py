"""What happens to doors. The exchange of DESIGN § 2: intent committed, challenge, signed answer, outcome committed."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta

import structlog
from nacl.signing import VerifyKey
from sqlalchemy import Connection

from devices.contract import door
from devices.contract.messages import new_id
from hub.limits import Limiter
from hub.plugin import Context, Device
from hub.store import now
from plugins.locks import rows
from plugins.locks.config import Settings
from plugins.locks.models import Command, DoorState, Report, Result, TooManyCommandsError, UnknownDoorError
from plugins.locks.mqtt import Doors, NoContactError
from plugins.locks.signing import Signer, SigningError

log = structlog.get_logger("locks")

OUTCOME_SECONDS = 10.0
SWEEP_SECONDS = 3600


@dataclass
class _Known:
    key: VerifyKey
    boot: int
    seq: int
    state: door.State | None = None
    heard: float | None = None


class _NoOutcomeError(Exception):
    """The door has said nothing; how the command ends without its word."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(result, reason)
        self.result = result
        self.reason = reason


class Locks:
    def __init__(self, context: Context, settings: Settings, signer: Signer, doors: Doors) -> None:
        self._context = context
        self._settings = settings
        self._signer = signer
        self._doors = doors
        self._known: dict[str, _Known] = {}
        self._outcomes: dict[str, asyncio.Future[door.Outcome]] = {}
        self._limit = Limiter(settings.commands_per_minute, 60)
        self._began_at = now()

    async def load(self) -> None:
        """The doors of the store."""
        for door_id, (key, boot, seq) in (await self._context.store.read(rows.doors)).items():
            verify_key = VerifyKey(bytes.fromhex(key))
            known = self._known.get(door_id)
            if known is None or known.key != verify_key:
                self._known[door_id] = _Known(verify_key, boot, seq)

    # -- what people do

    async def pulse(self, door_id: str, actor: str, reason: str = "") -> Result:
        """Open the door for a moment. "done" only on the door's own signed word; no answer is "unknown".

        Raises UnknownDoorError or TooManyCommandsError, and then nothing was intended.
        """
        device = self._context.devices.get(door_id)
        if device is None or device.kind != door.KIND or door_id not in self._known:
            raise UnknownDoorError(door_id)
        if self._limit.wait_seconds(door_id):
            raise TooManyCommandsError(door_id)
        command = new_id()
        pulse_ms = round(self._settings.pulse_seconds * 1000)
        row = {
            "id": command,
            "door": door_id,
            "verb": "pulse",
            "pulse_ms": pulse_ms,
            "actor": actor,
            "reason": reason,
            "asked_at": now(),
        }
        audit_number = await self._context.store.write(lambda connection: rows.intend(connection, row))
        self._context.live.touch("doors")
        try:
            outcome = await self._exchange(device, command, pulse_ms, audit_number)
        except _NoOutcomeError as ending:
            await self._end(command, ending.result, ending.reason)
            return ending.result
        return outcome.result  # committed when it came in

    async def _exchange(self, device: Device, command: str, pulse_ms: int, audit_number: int) -> door.Outcome:
        """Until a signature has left, nothing can have opened: "refused". After that, only the door knows."""
        outcome: asyncio.Future[door.Outcome] = asyncio.get_running_loop().create_future()
        self._outcomes[command] = outcome
        try:
            self._doors.command(device, await self._signed(device, command, pulse_ms, audit_number))
            return await asyncio.wait_for(outcome, OUTCOME_SECONDS)
        except NoContactError:
            raise _NoOutcomeError("refused", "no_contact") from None
        except TimeoutError:
            raise _NoOutcomeError("unknown", "no_answer") from None
        finally:
            del self._outcomes[command]

    async def _signed(self, device: Device, command: str, pulse_ms: int, audit_number: int) -> door.Signed:
        try:
            challenge = await self._doors.challenge(device, command)
            return await self._signer.sign(
                door.Command(
                    door=device.id,
                    command=command,
                    verb="pulse",
                    pulse_ms=pulse_ms,
                    nonce=challenge.nonce,
                    audit=audit_number,
                )
            )
        except TimeoutError:
            raise _NoOutcomeError("refused", "no_challenge") from None
        except SigningError as error:
            log.error("not_signed", door=device.id, problem=str(error))  # noqa: TRY400 (the text says all)
            raise _NoOutcomeError("refused", "not_signed") from None

    async def _end(self, command: str, result: Result, reason: str | None) -> None:
        at = now()

        def write(connection: Connection) -> None:
            rows.end(connection, command, result, reason, at)
            self._context.touch(connection, "doors")

        await self._context.store.write(write)

    # -- what doors say

    def key(self, door_id: str) -> VerifyKey | None:
        known = self._known.get(door_id)
        return known.key if known else None

    async def state(self, state: door.State) -> None:
        known = self._known[state.door]
        if (state.boot, state.seq) <= (known.boot, known.seq):
            return self._context.devices.refused(state.door, "state: played again")
        changed = known.state is None or (state.lock, state.contact) != (known.state.lock, known.state.contact)
        known.boot, known.seq, known.state, known.heard = state.boot, state.seq, state, time.monotonic()
        if changed:
            await self._context.store.write(lambda connection: rows.keep_position(connection, state))
        self._context.live.touch("doors")
        return None

    async def outcome(self, outcome: door.Outcome) -> None:
        """Durable when it returns; the receipt goes out then."""
        await self._end(outcome.command, outcome.result, outcome.reason)
        waiting = self._outcomes.get(outcome.command)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)

    async def event(self, event: door.Event) -> None:
        def write(connection: Connection) -> None:
            if rows.report(connection, event, now()):
                self._context.touch(connection, "doors")

        await self._context.store.write(write)

    # -- what pages show

    def shown(self, door_id: str) -> DoorState:
        known = self._known.get(door_id)
        if known is None or known.state is None or known.heard is None:
            return DoorState("unknown", "unknown", None)
        age = time.monotonic() - known.heard
        if age > door.CONFIRMED_SECONDS:
            return DoorState("unknown", "unknown", age)
        return DoorState(known.state.lock, known.state.contact, age)

    async def history(self) -> tuple[list[Command], list[Report]]:
        store = self._context.store
        return await store.read(rows.latest_commands), await store.read(rows.latest_reports)

    async def count_commands(self) -> int:
        return await self._context.store.read(rows.count_commands)

    async def end_leftovers(self) -> None:
        """Commands that a dead hub left behind end as unknown (I5)."""
        for command in await self._context.store.read(
            lambda connection: rows.open_commands(connection, self._began_at)
        ):
            await self._end(command, "unknown", "hub_restarted")

    async def forget_again_and_again(self) -> None:
        while True:
            before = now() - timedelta(days=self._settings.keep_days)
            await self._context.store.write(lambda connection, before=before: rows.forget(connection, before))  # type: ignore[misc]
            await asyncio.sleep(SWEEP_SECONDS)
