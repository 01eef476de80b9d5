"""One door on the wire: signed commands in; state, outcomes and events out, signed."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, cast

import structlog
from pydantic import ValidationError

from devices.contract.alive import HEARTBEAT_SECONDS, Heartbeat, Status
from devices.contract.door import (
    COMMAND_SECONDS,
    RESEND_BATCH,
    RESEND_SECONDS,
    STATE_SECONDS,
    Command,
    Event,
    EventReceipt,
    Outcome,
    Refusal,
    Signed,
    State,
)
from devices.contract.messages import Message
from devices.door.clock import steady
from devices.door.exchange import Act, Exchange, Refuse
from devices.door.flood import FloodGate, HeldBack
from devices.door.hardware import Hardware, HardwareError, Reading
from devices.door.identity import Identity
from devices.door.journal import Applied, Entry, Journal, Receipt
from devices.door.passage import Passage
from devices.door.radio import signal_dbm
from devices.door.recorder import Recorder
from hub.wire import Received, Will, Wire

log = structlog.get_logger("door")

COUNT_SECONDS = 10.0
EventKind = Literal["command_refused", "forced_open", "exit_button", "started"]


class Controller:
    """Drives one door until it is stopped. The constructor touches neither hardware nor network.

    The relay moves in the turn of the loop in which the command was judged, before anything is written: a
    slow disk can make an outcome late, but no pulse. It moves for nothing else, and so not when this program
    starts.
    """

    def __init__(
        self,
        identity: Identity,
        hardware: Hardware,
        journal: Journal,
        *,
        clock: Callable[[], float] = steady,
        age_limit: float = COMMAND_SECONDS,
    ) -> None:
        self._identity = identity
        self._hardware = hardware
        self._boot = journal.boot
        self._mark = journal.mark
        self._seq = 0
        self._started = time.monotonic()
        self._reading = Reading()
        self._damage = "the journal was damaged and begun anew: enrol this door again" if journal.was_damaged else None
        self._exchange = Exchange(
            identity.door,
            identity.hub_key,
            identity.enrolment.hub_key_id,
            clock=clock,
            age_limit=age_limit,
            acted=journal.acted(),
        )
        self._passage = Passage(clock)
        self._gate = FloodGate(clock, journal.held())
        self._recorder = Recorder(journal, on_applied=self._recorded, on_stuck=self._tell)
        self._wire = Wire(
            identity.address(),
            on_message=self._received,
            on_ready=self._ready,
            will=Will(identity.topic("up", "status"), Status(online=False).payload()),
        )
        self._wire.subscribe(identity.topic("down", "#"), retain_as_published=True)
        self._resend_now = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; then relay idle, journal closed, offline. Raises HardwareError."""
        log.info("started", door=self._identity.door, boot=self._boot, waiting=self._recorder.waiting)
        try:
            self._hardware.start(self._changed, self._exit_pressed)
            self._happened("started")
            async with asyncio.TaskGroup() as group:
                serving = [
                    group.create_task(work, name=f"door {name}")
                    for name, work in {
                        "wire": self._wire.run(),
                        "journal": self._recorder.run(),
                        "heartbeat": _every(HEARTBEAT_SECONDS, self._beat),
                        "state": _every(STATE_SECONDS, self._tell_state),
                        "resend": self._resend(),
                        "count": self._tell_counts(),
                    }.items()
                ]
                await stop.wait()
                self._publish("status", Status(online=False), retain=True)
                for task in serving:
                    task.cancel()
        finally:
            self._hardware.close()
            self._recorder.close()
            log.info("stopped", door=self._identity.door)

    # -- from the hub ----------------------------------------------------------------------------------------

    def _received(self, message: Received) -> None:
        match message.topic.rpartition("/down/")[2]:
            case "challenge":
                self._give_challenge(message)
            case "command":
                self._obey(message)
            case "receipt":
                self._take_receipt(message)
            case _:
                log.warning("unknown_topic", topic=message.topic)
        self._wire.acknowledge(message)

    def _give_challenge(self, message: Received) -> None:
        challenge = self._exchange.challenge(message.payload, retained=message.retained)
        if challenge is None:
            log.warning("challenge_not_given", retained=message.retained, size=len(message.payload))
            return
        self._publish("challenge", self._signed(challenge))

    def _obey(self, message: Received) -> None:
        decision = self._exchange.decide(message.payload, retained=message.retained)
        if isinstance(decision, Act):
            decision = self._act(decision.command) or decision
        if isinstance(decision, Refuse):
            log.warning("command_refused", reason=decision.reason, command=decision.answer)
            if decision.answer is not None:
                self._answer(decision.answer, decision.reason)
            self._happened("command_refused", decision.reason)

    def _act(self, command: Command) -> Refuse | None:
        assert command.pulse_ms  # noqa: S101 (the exchange lets no other verb through)
        self._passage.granted(command.pulse_ms)
        try:
            self._hardware.pulse(command.pulse_ms)
        except HardwareError as error:
            log.exception("relay_failed", command=command.command, error=str(error))
            return Refuse("hardware_failed", command.command)
        log.info("command_done", command=command.command, pulse_ms=command.pulse_ms, audit=command.audit)
        self._answer(command.command, None)
        return None

    def _take_receipt(self, message: Received) -> None:
        try:
            receipt = EventReceipt.model_validate_json(message.payload)
        except ValidationError:
            log.warning("malformed_receipt", size=len(message.payload))
            return
        self._recorder.put(Receipt(receipt.of))

    # -- from the door ---------------------------------------------------------------------------------------

    def _changed(self, reading: Reading) -> None:
        opened = self._reading.contact == "closed" and reading.contact == "open"
        self._reading = reading
        self._tell_state()
        if opened and self._passage.is_forced():
            self._happened("forced_open")

    def _exit_pressed(self) -> None:
        self._passage.exit_pressed()
        self._happened("exit_button")

    # -- to the hub ------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        self._publish("status", Status(online=True), retain=True)
        self._beat()
        self._tell_state()
        self._resend_now.set()

    def _beat(self) -> None:
        heartbeat = Heartbeat(
            sent_at=datetime.now(UTC),
            version=_version(),
            uptime_seconds=int(time.monotonic() - self._started),
            outbox=self._recorder.waiting,
            problem=(self._recorder.problem or self._damage or "")[:200] or None,
            signal_dbm=signal_dbm(),
        )
        self._publish("heartbeat", heartbeat, qos=0)

    def _tell_state(self) -> None:
        state = State(
            door=self._identity.door,
            boot=self._boot,
            seq=self._next(),
            lock=self._reading.lock,
            contact=self._reading.contact,
            sent_at=datetime.now(UTC),
        )
        self._publish("state", self._signed(state))

    def _answer(self, command: str, reason: Refusal | None) -> None:
        """Told at once, and kept until the receipt: the line may break before it is told."""
        self._reading = self._hardware.reading()
        outcome = Outcome(
            door=self._identity.door,
            command=command,
            result="refused" if reason else "done",
            reason=reason,
            boot=self._boot,
            seq=self._next(),
            lock=self._reading.lock,
            contact=self._reading.contact,
        )
        signed = self._signed(outcome)
        self._publish("outcome", signed)
        self._recorder.put(Entry(command, "outcome", signed.payload(), acted=reason is None))

    def _happened(self, kind: EventKind, reason: Refusal | None = None) -> None:
        now = datetime.now(UTC)
        if self._gate.admits((kind, reason), now):
            self._report(kind, reason, HeldBack(1, now))

    def _report(self, kind: EventKind, reason: Refusal | None, happened: HeldBack) -> None:
        """Onto the disk; it is told when it is durable, or when there is no room counted."""
        event = Event(
            id=f"{self._boot}-{self._next()}-{self._mark}",
            door=self._identity.door,
            kind=kind,
            reason=reason,
            count=happened.count,
            happened_at=happened.first_at,
        )
        entry = Entry(event.id, kind, self._signed(event).payload(), key=(kind, reason), counts=happened)
        if not self._recorder.put(entry):
            self._gate.hold((kind, reason), happened)

    def _recorded(self, applied: Applied) -> None:
        self._tell([entry for entry in applied.kept if entry.what == "event"])
        for entry in applied.no_room:
            if entry.key and entry.counts:
                self._gate.hold(entry.key, entry.counts)

    def _tell(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._wire.publish(self._identity.topic("up", entry.what), entry.payload)

    async def _resend(self) -> None:
        while True:
            try:
                async with asyncio.timeout(RESEND_SECONDS):
                    await self._resend_now.wait()
            except TimeoutError:
                pass
            self._resend_now.clear()
            if self._wire.connected and self._recorder.waiting:
                self._tell(await self._recorder.oldest(RESEND_BATCH))

    async def _tell_counts(self) -> None:
        remembered = dict(self._gate.held)
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            for (kind, reason), held in self._gate.due().items():
                self._report(cast("EventKind", kind), cast("Refusal | None", reason), held)
            if self._gate.held != remembered:
                remembered = dict(self._gate.held)
                await self._recorder.remember_held(remembered)

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _signed(self, message: Message) -> Signed:
        return Signed.sign(message, self._identity.own_key, self._identity.door)

    def _publish(self, what: str, message: Message, *, qos: int = 1, retain: bool = False) -> None:
        self._wire.publish(self._identity.topic("up", what), message.payload(), qos=qos, retain=retain)


async def _every(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        work()


def _version() -> str:
    try:
        return version("kommunevert")
    except PackageNotFoundError:
        return "source"
