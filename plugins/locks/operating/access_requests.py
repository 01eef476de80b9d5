"""Access requests from readers: decide, commit, sign and answer. New cards are learnt here too."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from devices.access.deciding import Circumstances, Decision, Fingerprints
from devices.access.passes import Pass, PassError
from devices.contract import door
from hub.plugin import Context, Device, Limiter, now
from plugins.locks.doors.mqtt import DoorTopics, NoContactError
from plugins.locks.doors.states import DoorStates
from plugins.locks.history.alarms import Alarms
from plugins.locks.models import Order
from plugins.locks.rules.access import Access
from plugins.locks.rules.inside import Inside
from plugins.locks.store import pass_rows, rows
from plugins.locks.trust.hub_keys import HubKeys
from plugins.locks.trust.passes import Passes
from plugins.locks.trust.signing import SigningError

log = structlog.get_logger("locks")

MAX_SEEN = 10_000
SHOWN_PER_MINUTE = 120
"""For each door; requests over the limit get no answer, and the door decides by itself."""


class _TooLateError(Exception):
    """The door no longer waits for an answer and has decided by itself."""


@dataclass(frozen=True)
class _Learning:
    card: asyncio.Future[str]
    reader: str | None


class AccessRequests:
    def __init__(
        self,
        context: Context,
        access: Access,
        hub_keys: HubKeys,
        doors: DoorTopics,
        states: DoorStates,
        alarms: Alarms,
        passes: Passes,
        inside: Inside,
    ) -> None:
        self._context = context
        self._access = access
        self._hub_keys = hub_keys
        self._doors = doors
        self._states = states
        self._alarms = alarms
        self._passes = passes
        self.inside = inside
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._learning: dict[str, _Learning] = {}
        self._limit = Limiter(SHOWN_PER_MINUTE, 60)

    async def answer(self, shown: door.AccessRequest, read_at: float | None = None) -> None:
        """Answer once, and only while the door waits for it. `read_at`: when it was read, by `time.monotonic`."""
        until = (time.monotonic() if read_at is None else read_at) + door.ANSWER_SECONDS
        device = self._context.devices.get(shown.door)
        if device is None or (shown.door, shown.id) in self._seen or self._limit.wait_seconds(shown.door):
            return None
        self._seen[shown.door, shown.id] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        if self._is_learnt(shown):
            return await self._answer(device, shown, Decision("unknown"), "learnt", until=until)
        visit_pass = await self._pass_in(shown)
        given = self._passes.known(visit_pass) if visit_pass else None
        credential = self._access.roll.get(shown.card or shown.pin or "")
        known = Circumstances(
            inside=self.inside.is_inside(shown, credential.ref) if credential else None,
            interlocked=self._is_interlocked(shown.door),
        )
        decision = self._access.decide(
            shown.door, Fingerprints(shown.card, shown.pin, visit_pass if given else None), now(), known
        )
        uses_up = visit_pass is not None and visit_pass.once
        return await self._answer(device, shown, decision, "", until=until, uses_up=uses_up)

    async def learn(self, door_id: str, seconds: float) -> str:
        """The fingerprint of the next unknown card at this door. Raises TimeoutError."""
        learning = _Learning(asyncio.get_running_loop().create_future(), None)
        self._learning[door_id] = learning
        try:
            async with asyncio.timeout(seconds):
                return await learning.card
        finally:
            if self._learning.get(door_id) is learning:
                del self._learning[door_id]

    # --

    async def _pass_in(self, shown: door.AccessRequest) -> Pass | None:
        """The pass in a QR code; None when it is not valid, or cannot be verified now."""
        if shown.code is None:
            return None
        try:
            return await self._passes.read(shown.code)
        except (PassError, SigningError) as error:
            log.info("pass_code_rejected", door=shown.door, problem=str(error))
            return None

    async def _answer(
        self,
        device: Device,
        shown: door.AccessRequest,
        decision: Decision,
        reason: str,
        *,
        until: float,
        uses_up: bool = False,
    ) -> None:
        """`until`: how long the door waits, by `time.monotonic`. `uses_up`: a grant uses up the pass."""
        access = self._access.for_door(shown.door)
        row: dict[str, Any] = {
            "id": shown.id,
            "door": shown.door,
            "actor": rows.AT_READER,
            "reason": reason,
            "asked_at": now(),
            "credential": self._told(decision, tells_grants=access.tells_grants),
            "detail": _detail(shown, decision),
        }

        def intend(connection: Connection) -> tuple[Order, int] | None:
            if time.monotonic() > until or rows.is_known(connection, shown.id):
                return None  # too late, or replayed to a hub that has restarted meanwhile
            order = Order("pulse", pulse_ms=access.pulse_ms)
            is_late = (
                uses_up
                and decision.visit_pass
                and not pass_rows.use(connection, decision.visit_pass, shown.door, now())
            )
            if not decision.is_granted or is_late:
                order = Order("deny", why="used" if decision.is_granted else decision.reason)
            for kind in ("duress",) * decision.is_duress + ("passes_back",) * decision.passes_back:
                self._alarms.record(connection, shown.door, kind, row["asked_at"])
            return order, rows.intend(connection, row, order)

        intended = await self._context.store.write(intend)
        if intended is None:
            return
        order, audit = intended
        self._context.live.touch("doors")
        try:
            command = door.Command(door=shown.door, command=shown.id, nonce=shown.nonce, audit=audit, **vars(order))
            self._doors.command(device, await self._signed(command, until))
            if order.verb == "pulse" and decision.credential is not None:
                await self.inside.granted(shown, decision.credential.ref)
        except (SigningError, NoContactError, _TooLateError) as error:
            log.error("access_request_failed", door=shown.door, problem=type(error).__name__)  # noqa: TRY400 (the word says all)
            why = "late" if isinstance(error, _TooLateError) else "not_signed"
            if order.verb == "pulse":
                await self._context.store.write(
                    lambda connection: rows.end(connection, shown.id, "refused", why, now())
                )

    async def _signed(self, command: door.Command, until: float) -> door.Signed:
        """Raises SigningError, or _TooLateError when committing took too long."""
        if time.monotonic() > until:
            raise _TooLateError
        return await self._hub_keys.sign(command)

    def _told(self, decision: Decision, *, tells_grants: bool) -> str | None:
        """The pseudonym for the log; None for a plain grant at doors that log only denials and alarms."""
        if decision.credential is None or (
            decision.is_granted and not tells_grants and not decision.is_duress and not decision.passes_back
        ):
            return None
        return decision.credential.ref

    def _is_learnt(self, shown: door.AccessRequest) -> bool:
        learning = self._learning.get(shown.door)
        if learning is None or shown.card is None or shown.card in self._access.roll or learning.card.done():
            return False
        learning.card.set_result(shown.card)
        return True

    def _is_interlocked(self, door_id: str) -> bool:
        """Whether the other door of the sluice is known to be open; an unknown state does not block."""
        other = self._access.settings_of(door_id).interlock_with
        return other is not None and (
            self._states.of(other).contact == "open" or self._states.of(other).lock == "unlocked"
        )


def _detail(shown: door.AccessRequest, decision: Decision) -> dict[str, object]:
    found: dict[str, object] = {
        "reader": shown.reader,
        "side": shown.side,
        "rule": decision.rule,
        "visit_pass": decision.visit_pass,
        "is_duress": decision.is_duress,
        "passes_back": decision.passes_back,
    }
    if decision.reason == "unknown":
        found["shown"] = shown.card or shown.pin
    return {key: value for key, value in found.items() if value}
