"""Decides about cards, PINs and codes at the readers: by asking the hub, or else by the access list."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from devices.access.credentials import fingerprint, readings, typed_pin
from devices.access.deciding import Circumstances, Decision, Fingerprints, decide
from devices.access.passes import MAX_CHARACTERS, Pass, PassError, read_pass
from devices.contract.door import ANSWER_SECONDS, PIN_SECONDS, AccessRequest, Command
from devices.contract.payload import new_id
from devices.door.deciding.clock import TimeOfDay
from devices.door.deciding.exchange import Exchange
from devices.door.deciding.tries import Penalty, Tries
from devices.door.hardware.reader import Presented, Reader
from devices.door.memory.lists import ActiveList
from devices.door.memory.used_passes import UsedPasses

log = structlog.get_logger("door.admission")


@dataclass(frozen=True, slots=True)
class Passing:
    """A decision that the door made by itself, for the journal."""

    reader: Reader
    shown: Fingerprints
    decision: Decision


@dataclass(slots=True)
class _Card:
    fingerprint: str
    until: float


class Admission:
    """Decides about one presented credential at a time.

    Callbacks: `ask` publishes an access request, False without contact; `admit` records a decision of the door itself,
    then opens, and returns whether it did; `used` persists the use of a pass that the hub admitted.
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
        self.active_list: ActiveList | None = None
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
        """Penalties by reader, to be persisted."""
        return self._before | {name: tries.penalty for name, tries in self._tries.items()}

    def handle_answer(self, command: Command) -> None:
        """The hub's answer to the pending access request, checked by the exchange."""
        if self._answer is not None and self._answer[0] == command.command and not self._answer[1].done():
            self._answer[1].set_result(command)

    async def present(self, reader: Reader, presented: Presented) -> None:
        """Decide about what was presented; ignored while another decision is pending."""
        if self._is_deciding:
            return
        self._is_deciding = True
        try:
            await self._decide(reader, presented)
        finally:
            self._is_deciding = False

    async def _decide(self, reader: Reader, presented: Presented) -> None:
        if self._tries_at(reader).penalty.wait_seconds:
            return reader.show("waiting")
        if self.active_list is None:
            await self._admit(Passing(reader, Fingerprints(), Decision("list_expired")))
            return reader.show("denied")
        shown = self._fingerprints(reader, presented, self.active_list)
        command = await self._ask_hub(reader, shown, presented.code, self.active_list)
        if command is not None:
            return self._show_answer(reader, shown, command)
        return await self._decide_alone(reader, shown, self.active_list)

    def _tries_at(self, reader: Reader) -> Tries:
        if reader.name not in self._tries:
            self._tries[reader.name] = Tries(self._clock, self._before.get(reader.name, Penalty()))
        return self._tries[reader.name]

    def _fingerprints(self, reader: Reader, presented: Presented, known: ActiveList) -> Fingerprints:
        """Fingerprints of what was presented; a PIN belongs to the card shown just before it."""
        if presented.card is not None:
            forms = [fingerprint(known.key, form) for form in readings(presented.card)]
            return Fingerprints(card=next((form for form in forms if form in known.roll), forms[0]))
        if presented.code is not None:
            return Fingerprints(visit_pass=self._pass_in(presented.code, known))
        card = self._cards.pop(reader.name, None)
        is_near = card is not None and self._clock() < card.until
        pin = fingerprint(known.key, typed_pin(presented.pin or ""))
        return Fingerprints(card=card.fingerprint if card and is_near else None, pin=pin)

    def _pass_in(self, code: str, known: ActiveList) -> Pass | None:
        """The pass in a QR code; None when it is no pass, or not signed by this hub."""
        try:
            return read_pass(code, known.hub_keys)
        except PassError as error:
            log.info("pass_code_rejected", problem=str(error))
            return None

    async def _ask_hub(
        self, reader: Reader, shown: Fingerprints, code: str | None, known: ActiveList
    ) -> Command | None:
        """The hub's answer; None without contact or after ANSWER_SECONDS. A later answer is not accepted."""
        name = new_id()
        answer: asyncio.Future[Command] = asyncio.get_running_loop().create_future()
        self._answer = (name, answer)
        question = AccessRequest(
            door=self._door,
            id=name,
            nonce=self._exchange.new_request_nonce(name),
            reader=reader.name,
            side=reader.side,
            card=shown.card,
            pin=shown.pin,
            code=code if code and len(code) <= MAX_CHARACTERS else None,
            list_version=known.access.version,
            shown_at=datetime.now(UTC),
        )
        try:
            if not self._ask(question):
                return None
            await asyncio.wait({answer}, timeout=ANSWER_SECONDS)
            return answer.result() if answer.done() else None  # in the same step as the nonce is forgotten
        finally:
            self._exchange.forget_request()
            self._answer = None

    def _show_answer(self, reader: Reader, shown: Fingerprints, command: Command) -> None:
        if command.verb == "pulse":
            self._tries_at(reader).succeeded()
            if shown.visit_pass is not None and (to_write := self._passes.use(shown.visit_pass)):
                self._used(to_write)
            reader.show("granted")
        elif command.why == "pin_wanted":
            self._ask_for_pin(reader, shown)
        else:
            self._deny(reader, command.why or "unknown")

    async def _decide_alone(self, reader: Reader, shown: Fingerprints, known: ActiveList) -> None:
        access = known.access.model_copy(update={"lockdown": self._is_locked_down()})
        circumstances = Circumstances(used=shown.visit_pass is not None and self._passes.has(shown.visit_pass))
        decision = decide(access, known.roll, shown, self._time_of_day.now(), circumstances)
        if decision.reason == "pin_wanted":
            return self._ask_for_pin(reader, shown)
        has_opened = await self._admit(Passing(reader, shown, decision))
        if decision.is_granted and has_opened:
            self._tries_at(reader).succeeded()
            return reader.show("granted")
        return self._deny(reader, decision.reason)

    def _ask_for_pin(self, reader: Reader, shown: Fingerprints) -> None:
        if shown.card is not None:
            self._cards[reader.name] = _Card(shown.card, self._clock() + PIN_SECONDS)
        reader.show("pin_wanted")

    def _deny(self, reader: Reader, reason: str) -> None:
        """Show the denial, and count it as a failed try when it could be guessing."""
        reader.show("denied")
        if reason in ("unknown", "wrong_pin") and self._tries_at(reader).failed():
            self._too_many(reader)
