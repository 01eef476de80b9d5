"""Somebody shows something at a reader: the hub is asked, or the door decides by its list."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from devices.access.credentials import fingerprint, readings, typed_pin
from devices.access.deciding import Circumstances, Decision, Fingerprints, decide
from devices.access.passes import MOST_CHARACTERS, Pass, PassError, read_pass
from devices.contract.door import ANSWER_SECONDS, PIN_SECONDS, AccessRequest, Command
from devices.contract.payload import new_id
from devices.door.deciding.clock import TimeOfDay
from devices.door.deciding.exchange import Exchange
from devices.door.deciding.tries import Penalty, Tries
from devices.door.hardware.reader import Presented, Reader
from devices.door.memory.lists import InUse
from devices.door.memory.used_passes import UsedPasses

log = structlog.get_logger("door.admission")


@dataclass(frozen=True, slots=True)
class Passing:
    """A decision of the door's own, for the journal."""

    reader: Reader
    shown: Fingerprints
    decision: Decision


@dataclass(slots=True)
class _Card:
    fingerprint: str
    until: float


class Admission:
    """One thing at a time at each reader.

    `ask` publishes an access request, False without contact; `admit` gets what the door decided alone: it writes it
    down, then opens, and says whether it did. `used` keeps what is to be remembered of a pass that the hub let in.
    """

    def __init__(
        self,
        door: str,
        exchange: Exchange,
        clock: Callable[[], float],
        time_of_day: TimeOfDay,
        *,
        ask: Callable[[AccessRequest], bool],
        admit: Callable[[Passing], Awaitable[bool]],
        too_many: Callable[[Reader], None],
        is_locked_down: Callable[[], bool],
        passes: UsedPasses,
        used: Callable[[tuple[str, str]], object],
        before: dict[str, Penalty] | None = None,
    ) -> None:
        self.list: InUse | None = None
        self._door = door
        self._exchange = exchange
        self._clock = clock
        self._time_of_day = time_of_day
        self._ask = ask
        self._admit = admit
        self._too_many = too_many
        self._is_locked_down = is_locked_down
        self._passes = passes
        self._used = used
        self._before = before or {}
        self._tries: dict[str, Tries] = {}
        self._cards: dict[str, _Card] = {}
        self._is_deciding = False
        self._answer: tuple[str, asyncio.Future[Command]] | None = None

    def penalties(self) -> dict[str, Penalty]:
        """Of each reader, to be remembered."""
        return self._before | {name: tries.penalty for name, tries in self._tries.items()}

    def answered(self, command: Command) -> None:
        """The hub's word on what was shown; the exchange has let it through."""
        if self._answer is not None and self._answer[0] == command.command and not self._answer[1].done():
            self._answer[1].set_result(command)

    async def take(self, reader: Reader, presented: Presented) -> None:
        """What comes while something is being decided is not taken: nobody waits in line for a door to open later."""
        if self._is_deciding:
            return
        self._is_deciding = True
        try:
            await self._take(reader, presented)
        finally:
            self._is_deciding = False

    async def _take(self, reader: Reader, presented: Presented) -> None:
        if self._tries_at(reader).penalty.wait_seconds:
            return reader.show("waiting")
        if self.list is None:
            await self._admit(Passing(reader, Fingerprints(), Decision("list_expired")))
            return reader.show("denied")
        shown = self._shown(reader, presented, self.list)
        command = await self._asked(reader, shown, presented.code, self.list)
        if command is not None:
            return self._told(reader, shown, command)
        return await self._alone(reader, shown, self.list)

    def _tries_at(self, reader: Reader) -> Tries:
        if reader.name not in self._tries:
            self._tries[reader.name] = Tries(self._clock, self._before.get(reader.name, Penalty()))
        return self._tries[reader.name]

    def _shown(self, reader: Reader, presented: Presented, known: InUse) -> Fingerprints:
        """A PIN belongs to the card that was shown just before it."""
        if presented.card is not None:
            forms = [fingerprint(known.key, one) for one in readings(presented.card)]
            return Fingerprints(card=next((one for one in forms if one in known.roll), forms[0]))
        if presented.code is not None:
            return Fingerprints(visit_pass=self._pass_in(presented.code, known))
        card = self._cards.pop(reader.name, None)
        is_near = card is not None and self._clock() < card.until
        pin = fingerprint(known.key, typed_pin(presented.pin or ""))
        return Fingerprints(card=card.fingerprint if card and is_near else None, pin=pin)

    def _pass_in(self, code: str, known: InUse) -> Pass | None:
        """None for what is no pass, or not signed by this hub."""
        try:
            return read_pass(code, known.hub_keys)
        except PassError as error:
            log.info("code_refused", problem=str(error))
            return None

    async def _asked(self, reader: Reader, shown: Fingerprints, code: str | None, known: InUse) -> Command | None:
        """The hub's answer; None without contact, or when it took too long, and then none will count any more."""
        name = new_id()
        answer: asyncio.Future[Command] = asyncio.get_running_loop().create_future()
        self._answer = (name, answer)
        question = AccessRequest(
            door=self._door,
            id=name,
            nonce=self._exchange.shown(name),
            reader=reader.name,
            side=reader.side,
            card=shown.card,
            pin=shown.pin,
            code=code if code and len(code) <= MOST_CHARACTERS else None,
            list_version=known.access.version,
            shown_at=datetime.now(UTC),
        )
        try:
            if not self._ask(question):
                return None
            await asyncio.wait({answer}, timeout=ANSWER_SECONDS)
            return answer.result() if answer.done() else None  # in the same step as the nonce is forgotten
        finally:
            self._exchange.decided_alone()
            self._answer = None

    def _told(self, reader: Reader, shown: Fingerprints, command: Command) -> None:
        if command.verb == "pulse":
            self._tries_at(reader).succeeded()
            if shown.visit_pass is not None and (to_write := self._passes.use(shown.visit_pass)):
                self._used(to_write)
            reader.show("granted")
        elif command.why == "pin_wanted":
            self._wants_pin(reader, shown)
        else:
            self._denied(reader, command.why or "unknown")

    async def _alone(self, reader: Reader, shown: Fingerprints, known: InUse) -> None:
        access = known.access.model_copy(update={"lockdown": self._is_locked_down()})
        circumstances = Circumstances(used=shown.visit_pass is not None and self._passes.has(shown.visit_pass))
        decision = decide(access, known.roll, shown, self._time_of_day.now(), circumstances)
        if decision.reason == "pin_wanted":
            return self._wants_pin(reader, shown)
        has_opened = await self._admit(Passing(reader, shown, decision))
        if decision.is_granted and has_opened:
            self._tries_at(reader).succeeded()
            return reader.show("granted")
        return self._denied(reader, decision.reason)

    def _wants_pin(self, reader: Reader, shown: Fingerprints) -> None:
        if shown.card is not None:
            self._cards[reader.name] = _Card(shown.card, self._clock() + PIN_SECONDS)
        reader.show("pin_wanted")

    def _denied(self, reader: Reader, reason: str) -> None:
        """What could be guessing counts; somebody who comes at the wrong hour does not guess."""
        reader.show("denied")
        if reason in ("unknown", "wrong_pin") and self._tries_at(reader).failed():
            self._too_many(reader)
