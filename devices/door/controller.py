"""Controller of one door: commands and lists in; states, access requests, outcomes and events out, all signed."""

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson
import structlog
from pydantic import ValidationError

from devices.access.lists import ListError
from devices.contract.alive import HEARTBEAT_SECONDS, Heartbeat, Status
from devices.contract.door import (
    COMMAND_SECONDS,
    STATE_SECONDS,
    AccessRequest,
    EventReceipt,
    Outcome,
    Refusal,
    State,
)
from devices.door.admission import Admission, Passing
from devices.door.conditions import INPUT_EVENTS, Conditions
from devices.door.deciding.clock import TimeOfDay, is_synchronised, steady, utc
from devices.door.deciding.exchange import Act, Exchange, Refuse
from devices.door.deciding.tries import Penalty
from devices.door.hardware.interface import Hardware, HardwareError, Reading
from devices.door.hardware.radio import signal_dbm
from devices.door.hardware.reader import Condition, Presented, Reader
from devices.door.identity import Identity
from devices.door.lock_control import LockControl
from devices.door.memory.journal import Journal
from devices.door.memory.lists import ActiveList, Lists
from devices.door.memory.trust import Trust
from devices.door.memory.used_passes import UsedPasses
from devices.door.reporter import Reporter
from devices.wire.connection import Received, Will, Wire

log = structlog.get_logger("door")

LOOK_SECONDS = 1.0


class Controller:
    """Drives one door until it is stopped. The constructor touches neither hardware nor network.

    A command from the hub moves the relay at once, before anything is written here: the hub has committed the intent,
    and a slow disk may delay an outcome, but never a pulse. A grant by the door itself is written to disk first.
    Besides these only the opening schedule moves the relay; starting this program does not.
    """

    def __init__(
        self,
        identity: Identity,
        hardware: Hardware,
        journal: Journal,
        readers: Sequence[Reader] = (),
        *,
        clock: Callable[[], float] = steady,
        wall: Callable[[], datetime] = utc,
        is_synchronised: Callable[[], bool] = is_synchronised,
        age_limit: float = COMMAND_SECONDS,
    ) -> None:
        self._identity = identity
        self._hardware = hardware
        self._readers = readers
        self._started = time.monotonic()
        self._reading = Reading()
        self._conditions = Conditions()
        self._damage = "the journal was damaged and begun anew: enrol this door again" if journal.was_damaged else None
        self._exchange = Exchange(
            identity.door,
            identity.hub_key,
            identity.enrolment.hub_key_id,
            clock=clock,
            age_limit=age_limit,
            acted=journal.acted(),
        )
        persisted = journal.persisted()
        self._trust = Trust.of(persisted, identity.own_key)
        self._exchange.trust(self._trust.hub_keys)
        self._time_of_day = TimeOfDay(persisted, clock, wall=wall, is_synchronised=is_synchronised)
        self._reporter = Reporter(identity, journal, clock, self._time_of_day)
        self._lock_control = LockControl(
            hardware, clock, persisted, self._reporter, self._publish_state, self._time_of_day
        )
        self._lists = Lists(journal.path.parent, identity.door, identity.own_key, self._exchange)
        self._passes = UsedPasses(persisted, self._time_of_day.now)
        self._admission = Admission(
            identity.door,
            self._exchange,
            clock,
            self._time_of_day,
            ask=self._publish_access_request,
            admit=self._admit,
            too_many=self._on_too_many_tries,
            is_locked_down=lambda: self._lock_control.is_locked_down,
            passes=self._passes,
            used=lambda what: self._reporter.recorder.persist(*what),
            before=_penalties_of(persisted),
        )
        self._wire = Wire(
            identity.address(),
            on_message=self._on_message,
            on_ready=self._on_ready,
            will=Will(identity.topic("up", "status"), Status(online=False).encoded()),
        )
        self._wire.subscribe(identity.topic("down", "#"), retain_as_published=True)
        self._reporter.wire = self._wire
        self._new_lists: asyncio.Queue[bytes] = asyncio.Queue()
        self._admissions: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; then relay idle, journal closed, offline. Raises HardwareError."""
        log.info("started", door=self._identity.door, boot=self._reporter.boot, waiting=self._reporter.recorder.waiting)
        try:
            self._activate(await asyncio.to_thread(self._lists.load))
            self._hardware.start(self._on_hardware_change, self._on_exit_pressed)
            if self._lock_control.active_list is not None:
                self._lock_control.apply_lockdown(self._lock_control.active_list)
            for reader in self._readers:
                reader.start(partial(self._on_presented, reader), partial(self._on_reader_condition, reader))
            self._reporter.report("started")
            async with asyncio.TaskGroup() as group:
                serving = [
                    group.create_task(work, name=f"door {name}")
                    for name, work in {
                        "wire": self._wire.run(),
                        "reporter": self._reporter.run(),
                        "heartbeat": _every(HEARTBEAT_SECONDS, self._publish_heartbeat),
                        "state": _every(STATE_SECONDS, self._publish_state),
                        "tick": _every(LOOK_SECONDS, self._tick),
                        "lists": self._receive_lists(),
                    }.items()
                ]
                await stop.wait()
                self._reporter.publish("status", Status(online=False), retain=True)
                for task in (*serving, *self._admissions):
                    task.cancel()
        finally:
            for reader in self._readers:
                reader.close()
            self._hardware.close()
            self._reporter.recorder.close()
            log.info("stopped", door=self._identity.door)

    # -- from the hub ----------------------------------------------------------------------------------------

    def _on_message(self, message: Received) -> None:
        match message.topic.rpartition("/down/")[2]:
            case "challenge":
                self._handle_challenge_request(message)
            case "command":
                self._handle_command(message)
            case "receipt":
                self._handle_receipt(message)
            case "list":
                if message.payload:
                    self._new_lists.put_nowait(message.payload)
            case _:
                log.warning("unknown_topic", topic=message.topic)
        self._wire.acknowledge(message)

    def _handle_challenge_request(self, message: Received) -> None:
        challenge = self._exchange.challenge(message.payload, retained=message.retained)
        if challenge is None:
            log.warning("challenge_failed", retained=message.retained, size=len(message.payload))
            return
        self._reporter.publish("challenge", self._reporter.signed(challenge))

    def _handle_command(self, message: Received) -> None:
        decision = self._exchange.decide(message.payload, retained=message.retained)
        if isinstance(decision, Act):
            decision = self._act(decision) or decision
        if isinstance(decision, Refuse):
            log.warning("command_refused", reason=decision.reason, command=decision.answer)
            if decision.answer is not None:
                self._report_outcome(decision.answer, decision.reason)
            self._reporter.report("command_refused", decision.reason)

    def _act(self, act: Act) -> Refuse | None:
        command = act.command
        try:
            persisted = self._lock_control.execute(command)
        except HardwareError as error:
            log.exception("relay_failed", command=command.command, error=str(error))
            return Refuse("hardware_failed", command.command)
        log.info("command_done", command=command.command, verb=command.verb, audit=command.audit)
        if command.verb != "deny":
            self._report_outcome(command.command, None, persisted)
        if command.verb not in ("pulse", "deny"):
            self._publish_state()
        if act.answers_request:
            self._admission.handle_answer(command)
        return None

    def _handle_receipt(self, message: Received) -> None:
        try:
            receipt = EventReceipt.model_validate_json(message.payload)
        except ValidationError:
            log.warning("malformed_receipt", size=len(message.payload))
            return
        self._reporter.acknowledge(receipt.of)

    # -- lists -----------------------------------------------------------------------------------------------

    async def _receive_lists(self) -> None:
        while True:
            payload = await self._new_lists.get()
            used = self._admission.active_list
            newer_than = used.access.version if used else self._trust.list_version - 1  # also when the file was damaged
            try:
                found = await asyncio.to_thread(self._lists.receive, payload, newer_than)
            except ListError as error:
                if not await asyncio.to_thread(self._lists.is_in_use, payload):  # retained: it comes at each connection
                    log.warning("list_refused", problem=str(error))
                    self._reporter.report("list_refused")
            except OSError as error:
                log.exception("list_save_failed", error=str(error))
                self._lists.problem = f"the access list cannot be written: {error}"
            else:
                log.info("list_taken", version=found.access.version, credentials=len(found.roll))
                self._activate(found)
                self._trust = Trust(found.access.version, found.hub_keys)
                self._reporter.recorder.persist(*self._trust.as_persisted(self._identity.own_key))
                self._lock_control.apply_lockdown(found)
                self._reporter.report("list_taken")
                self._publish_state()

    def _activate(self, found: ActiveList | None) -> None:
        self._admission.active_list = self._lock_control.active_list = found
        if found is not None:
            self._exchange.trust(found.hub_keys)
            self._time_of_day.advance_to(found.access.made_at)

    # -- at the reader ---------------------------------------------------------------------------------------

    def _on_presented(self, reader: Reader, presented: Presented) -> None:
        task = asyncio.get_running_loop().create_task(self._admission.present(reader, presented))
        self._admissions.add(task)
        task.add_done_callback(self._on_admission_done)

    def _on_admission_done(self, task: asyncio.Task[None]) -> None:
        self._admissions.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            last = traceback.extract_tb(error.__traceback__)[-1]  # its text may quote what was shown
            log.error("reader_failed", error=type(error).__name__, where=f"{Path(last.filename).name}:{last.lineno}")

    def _on_reader_condition(self, reader: Reader, condition: Condition) -> None:
        for kind in self._conditions.update(reader, condition):
            self._reporter.report(kind, reader=reader.name, side=reader.side)
        self._publish_state()
        self._publish_heartbeat()

    def _publish_access_request(self, shown: AccessRequest) -> bool:
        if not self._wire.connected:
            return False
        return self._reporter.publish("shown", self._reporter.signed(shown), expiry_seconds=int(COMMAND_SECONDS))

    async def _admit(self, passing: Passing) -> bool:
        """Record a decision of the door itself, and pulse the relay for a grant once it is on disk."""
        decision, used = passing.decision, self._admission.active_list
        credential = decision.credential
        is_named = credential is not None and (
            not decision.is_granted
            or used is None
            or used.access.tells_grants
            or decision.is_duress
            or decision.passes_back
        )
        unknown = passing.shown.card or passing.shown.pin if decision.reason == "unknown" else None
        fields = {
            "reader": passing.reader.name,
            "side": passing.reader.side,
            "credential": credential.ref if credential and is_named else None,
            "shown": unknown,
            "rule": decision.rule,
            "visit_pass": decision.visit_pass,
            "is_duress": decision.is_duress,
            "passes_back": decision.passes_back,
        }
        if not decision.is_granted or used is None:
            self._reporter.report("denied", decision.reason, **fields)
            return False
        visit_pass = passing.shown.visit_pass
        persisted = self._passes.use(visit_pass) if visit_pass is not None else None
        if not await self._reporter.report_durably("granted", None, persisted=persisted, **fields):
            log.error("not_admitted", problem=self._reporter.recorder.problem)
            return False
        try:
            self._lock_control.admit(arrives=credential is not None and credential.arrives)
        except HardwareError as error:
            log.exception("relay_failed", error=str(error))
            return False
        return True

    def _on_too_many_tries(self, reader: Reader) -> None:
        self._reporter.report("too_many_tries", reader=reader.name, side=reader.side)
        penalties = {
            name: [penalty.failures, penalty.wait_seconds] for name, penalty in self._admission.penalties().items()
        }
        self._reporter.recorder.persist("tries", orjson.dumps(penalties).decode())

    # -- from the door ---------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Every second."""
        self._lock_control.tick()
        self._reporter.save_time(at_once=False)
        knows_again = self._time_of_day.changed()
        if knows_again is not None:
            self._reporter.report("clock_right" if knows_again else "clock_wrong")
            self._publish_state()

    def _on_hardware_change(self, reading: Reading) -> None:
        before, self._reading = self._reading, reading
        self._publish_state()
        if (before.contact, reading.contact) == ("closed", "open"):
            self._lock_control.report(self._lock_control.passage.opened())
        elif reading.contact == "closed":
            self._lock_control.report(self._lock_control.passage.closed())
        for name in sorted(before.inputs ^ reading.inputs):
            self._reporter.report(INPUT_EVENTS[name][name not in reading.inputs])

    def _on_exit_pressed(self) -> None:
        self._lock_control.passage.exit_pressed()
        self._reporter.report("exit_button")

    # -- to the hub ------------------------------------------------------------------------------------------

    def _on_ready(self) -> None:
        self._reporter.publish("status", Status(online=True), retain=True)
        self._publish_heartbeat()
        self._publish_state()
        self._reporter.resend()

    def _publish_heartbeat(self) -> None:
        problem = (
            self._reporter.recorder.problem or self._damage or self._lists.problem or self._conditions.problem or ""
        )
        heartbeat = Heartbeat(
            sent_at=datetime.now(UTC),
            version=_version(),
            uptime_seconds=int(time.monotonic() - self._started),
            outbox=self._reporter.recorder.waiting,
            problem=problem[:200] or None,
            signal_dbm=signal_dbm(),
            instance=self._wire.instance,
            taken_over=self._wire.taken_over,
        )
        self._reporter.publish("heartbeat", heartbeat, qos=0)

    def _publish_state(self) -> None:
        recorder, used = self._reporter.recorder, self._admission.active_list
        state = State(
            door=self._identity.door,
            boot=self._reporter.boot,
            seq=self._reporter.next_seq(),
            lock=self._reading.lock,
            contact=self._reading.contact,
            sent_at=datetime.now(UTC),
            power=self._hardware.power,
            mode=self._lock_control.mode,
            hold_seconds=self._lock_control.hold_seconds,
            lockdown=self._lock_control.is_locked_down,
            list_version=used.access.version if used else 0,
            list_newest=max(self._trust.list_version, used.access.version if used else 0),
            list_until=used.access.valid_until if used else None,
            hub_keys=self._exchange.key_ids,
            inputs=tuple(sorted(self._reading.inputs | self._conditions.inputs)),
            mark=self._reporter.mark,
            waiting_from=recorder.oldest_number,
            newest=recorder.newest_number,
            knows_time=self._time_of_day.now() is not None,
        )
        self._reporter.publish("state", self._reporter.signed(state))

    def _report_outcome(self, command: str, reason: Refusal | None, persisted: tuple[str, str] | None = None) -> None:
        self._reading = self._hardware.reading()
        outcome = Outcome(
            door=self._identity.door,
            command=command,
            result="refused" if reason else "done",
            reason=reason,
            boot=self._reporter.boot,
            seq=self._reporter.next_seq(),
            lock=self._reading.lock,
            contact=self._reading.contact,
        )
        self._reporter.report_outcome(outcome, persisted)


def _penalties_of(persisted: dict[str, str]) -> dict[str, Penalty]:
    return {name: Penalty(*values) for name, values in orjson.loads(persisted.get("tries", "{}")).items()}


async def _every(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        work()


def _version() -> str:
    try:
        return version("kommunevert")
    except PackageNotFoundError:
        return "source"
