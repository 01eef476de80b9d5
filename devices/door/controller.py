"""One door on the wire: signed commands and lists in; state, what was shown, outcomes and events out, signed."""

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
from devices.door.conditions import TOLD, Conditions
from devices.door.deciding.clock import TimeOfDay, is_synchronised, steady, utc
from devices.door.deciding.exchange import Act, Exchange, Refuse
from devices.door.deciding.tries import Penalty
from devices.door.hardware.interface import Hardware, HardwareError, Reading
from devices.door.hardware.radio import signal_dbm
from devices.door.hardware.reader import Condition, Presented, Reader
from devices.door.identity import Identity
from devices.door.memory.journal import Journal
from devices.door.memory.lists import InUse, Lists
from devices.door.memory.trust import Trust
from devices.door.memory.used_passes import UsedPasses
from devices.door.stand import Stand
from devices.door.telling import Telling
from devices.wire.connection import Received, Will, Wire

log = structlog.get_logger("door")

LOOK_SECONDS = 1.0


class Controller:
    """Drives one door until it is stopped. The constructor touches neither hardware nor network.

    On the hub's word the relay moves in the turn of the loop in which the command was judged, before anything is
    written: the intent is committed there, and a slow disk can make an outcome late, but no pulse. By the door's own
    decision it moves when the grant is on the disk. It moves for nothing else than these and the opening schedule, and
    so not because this program starts.
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
        lasting = journal.lasting()
        self._trust = Trust.of(lasting, identity.own_key)
        self._exchange.believe(self._trust.hub_keys)
        self._time_of_day = TimeOfDay(lasting, clock, wall=wall, is_synchronised=is_synchronised)
        self._telling = Telling(identity, journal, clock, self._time_of_day)
        self._stand = Stand(hardware, clock, lasting, self._telling, self._tell_state, self._time_of_day)
        self._lists = Lists(journal.path.parent, identity.door, identity.own_key, self._exchange)
        self._passes = UsedPasses(lasting, self._time_of_day.now)
        self._admission = Admission(
            identity.door,
            self._exchange,
            clock,
            self._time_of_day,
            ask=self._ask,
            admit=self._admit,
            too_many=self._too_many,
            is_locked_down=lambda: self._stand.is_locked_down,
            passes=self._passes,
            used=lambda what: self._telling.recorder.put_lasting(*what),
            before=_penalties_of(lasting),
        )
        self._wire = Wire(
            identity.address(),
            on_message=self._received,
            on_ready=self._ready,
            will=Will(identity.topic("up", "status"), Status(online=False).encoded()),
        )
        self._wire.subscribe(identity.topic("down", "#"), retain_as_published=True)
        self._telling.wire = self._wire
        self._new_lists: asyncio.Queue[bytes] = asyncio.Queue()
        self._shown: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; then relay idle, journal closed, offline. Raises HardwareError."""
        log.info("started", door=self._identity.door, boot=self._telling.boot, waiting=self._telling.recorder.waiting)
        try:
            self._use(await asyncio.to_thread(self._lists.load))
            self._hardware.start(self._changed, self._exit_pressed)
            if self._stand.used is not None:
                self._stand.follow_lockdown(self._stand.used)
            for reader in self._readers:
                reader.start(partial(self._present, reader), partial(self._reader_is, reader))
            self._telling.happened("started")
            async with asyncio.TaskGroup() as group:
                serving = [
                    group.create_task(work, name=f"door {name}")
                    for name, work in {
                        "wire": self._wire.run(),
                        "telling": self._telling.run(),
                        "heartbeat": _every(HEARTBEAT_SECONDS, self._beat),
                        "state": _every(STATE_SECONDS, self._tell_state),
                        "look": _every(LOOK_SECONDS, self._look),
                        "lists": self._take_lists(),
                    }.items()
                ]
                await stop.wait()
                self._telling.publish("status", Status(online=False), retain=True)
                for task in (*serving, *self._shown):
                    task.cancel()
        finally:
            for reader in self._readers:
                reader.close()
            self._hardware.close()
            self._telling.recorder.close()
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
            case "list":
                if message.payload:
                    self._new_lists.put_nowait(message.payload)
            case _:
                log.warning("unknown_topic", topic=message.topic)
        self._wire.acknowledge(message)

    def _give_challenge(self, message: Received) -> None:
        challenge = self._exchange.challenge(message.payload, retained=message.retained)
        if challenge is None:
            log.warning("challenge_failed", retained=message.retained, size=len(message.payload))
            return
        self._telling.publish("challenge", self._telling.signed(challenge))

    def _obey(self, message: Received) -> None:
        decision = self._exchange.decide(message.payload, retained=message.retained)
        if isinstance(decision, Act):
            decision = self._act(decision) or decision
        if isinstance(decision, Refuse):
            log.warning("command_refused", reason=decision.reason, command=decision.answer)
            if decision.answer is not None:
                self._answer(decision.answer, decision.reason)
            self._telling.happened("command_refused", decision.reason)

    def _act(self, act: Act) -> Refuse | None:
        command = act.command
        try:
            lasting = self._stand.obey(command)
        except HardwareError as error:
            log.exception("relay_failed", command=command.command, error=str(error))
            return Refuse("hardware_failed", command.command)
        log.info("command_done", command=command.command, verb=command.verb, audit=command.audit)
        if command.verb != "deny":
            self._answer(command.command, None, lasting)
        if command.verb not in ("pulse", "deny"):
            self._tell_state()
        if act.answers_shown:
            self._admission.answered(command)
        return None

    def _take_receipt(self, message: Received) -> None:
        try:
            receipt = EventReceipt.model_validate_json(message.payload)
        except ValidationError:
            log.warning("malformed_receipt", size=len(message.payload))
            return
        self._telling.receipted(receipt.of)

    # -- lists -----------------------------------------------------------------------------------------------

    async def _take_lists(self) -> None:
        while True:
            payload = await self._new_lists.get()
            used = self._admission.list
            newer_than = used.access.version if used else self._trust.list_version - 1  # also when the file was damaged
            try:
                found = await asyncio.to_thread(self._lists.take, payload, newer_than)
            except ListError as error:
                if not await asyncio.to_thread(self._lists.is_in_use, payload):  # told again at each connection
                    log.warning("list_refused", problem=str(error))
                    self._telling.happened("list_refused")
            except OSError as error:
                log.exception("list_save_failed", error=str(error))
                self._lists.problem = f"the access list cannot be written: {error}"
            else:
                log.info("list_taken", version=found.access.version, credentials=len(found.roll))
                self._use(found)
                self._trust = Trust(found.access.version, found.hub_keys)
                self._telling.recorder.put_lasting(*self._trust.kept(self._identity.own_key))
                self._stand.follow_lockdown(found)
                self._telling.happened("list_taken")
                self._tell_state()

    def _use(self, found: InUse | None) -> None:
        self._admission.list = self._stand.used = found
        if found is not None:
            self._exchange.believe(found.hub_keys)
            self._time_of_day.is_at_least(found.access.made_at)

    # -- at the reader ---------------------------------------------------------------------------------------

    def _present(self, reader: Reader, presented: Presented) -> None:
        task = asyncio.get_running_loop().create_task(self._admission.take(reader, presented))
        self._shown.add(task)
        task.add_done_callback(self._presented)

    def _presented(self, task: asyncio.Task[None]) -> None:
        self._shown.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            last = traceback.extract_tb(error.__traceback__)[-1]  # its text may quote what was shown
            log.error("reader_failed", error=type(error).__name__, where=f"{Path(last.filename).name}:{last.lineno}")

    def _reader_is(self, reader: Reader, condition: Condition) -> None:
        for kind in self._conditions.becomes(reader, condition):
            self._telling.happened(kind, reader=reader.name, side=reader.side)
        self._tell_state()
        self._beat()

    def _ask(self, shown: AccessRequest) -> bool:
        if not self._wire.connected:
            return False
        return self._telling.publish("shown", self._telling.signed(shown), expiry_seconds=int(COMMAND_SECONDS))

    async def _admit(self, passing: Passing) -> bool:
        """By the door's own decision: a line on the disk first, and then the relay."""
        decision, used = passing.decision, self._admission.list
        credential = decision.credential
        is_told = credential is not None and (
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
            "credential": credential.ref if credential and is_told else None,
            "shown": unknown,
            "rule": decision.rule,
            "visit_pass": decision.visit_pass,
            "is_duress": decision.is_duress,
            "passes_back": decision.passes_back,
        }
        if not decision.is_granted or used is None:
            self._telling.happened("denied", decision.reason, **fields)
            return False
        visit_pass = passing.shown.visit_pass
        lasting = self._passes.use(visit_pass) if visit_pass is not None else None
        if not await self._telling.keep("granted", None, lasting=lasting, **fields):
            log.error("not_admitted", problem=self._telling.recorder.problem)
            return False
        try:
            self._stand.admit(arrives=credential is not None and credential.arrives)
        except HardwareError as error:
            log.exception("relay_failed", error=str(error))
            return False
        return True

    def _too_many(self, reader: Reader) -> None:
        self._telling.happened("too_many_tries", reader=reader.name, side=reader.side)
        penalties = {name: [one.failures, one.wait_seconds] for name, one in self._admission.penalties().items()}
        self._telling.recorder.put_lasting("tries", orjson.dumps(penalties).decode())

    # -- from the door ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Every second."""
        self._stand.look()
        self._telling.note_time(at_once=False)
        knows_again = self._time_of_day.changed()
        if knows_again is not None:
            self._telling.happened("clock_right" if knows_again else "clock_wrong")
            self._tell_state()

    def _changed(self, reading: Reading) -> None:
        before, self._reading = self._reading, reading
        self._tell_state()
        if (before.contact, reading.contact) == ("closed", "open"):
            self._stand.tell(self._stand.passage.opened())
        elif reading.contact == "closed":
            self._stand.tell(self._stand.passage.closed())
        for name in sorted(before.inputs ^ reading.inputs):
            self._telling.happened(TOLD[name][name not in reading.inputs])

    def _exit_pressed(self) -> None:
        self._stand.passage.exit_pressed()
        self._telling.happened("exit_button")

    # -- to the hub ------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        self._telling.publish("status", Status(online=True), retain=True)
        self._beat()
        self._tell_state()
        self._telling.has_contact()

    def _beat(self) -> None:
        problem = (
            self._telling.recorder.problem or self._damage or self._lists.problem or self._conditions.problem or ""
        )
        heartbeat = Heartbeat(
            sent_at=datetime.now(UTC),
            version=_version(),
            uptime_seconds=int(time.monotonic() - self._started),
            outbox=self._telling.recorder.waiting,
            problem=problem[:200] or None,
            signal_dbm=signal_dbm(),
            instance=self._wire.instance,
            taken_over=self._wire.taken_over,
        )
        self._telling.publish("heartbeat", heartbeat, qos=0)

    def _tell_state(self) -> None:
        recorder, used = self._telling.recorder, self._admission.list
        state = State(
            door=self._identity.door,
            boot=self._telling.boot,
            seq=self._telling.next_seq(),
            lock=self._reading.lock,
            contact=self._reading.contact,
            sent_at=datetime.now(UTC),
            power=self._hardware.power,
            mode=self._stand.mode,
            hold_seconds=self._stand.hold_seconds,
            lockdown=self._stand.is_locked_down,
            list_version=used.access.version if used else 0,
            list_newest=max(self._trust.list_version, used.access.version if used else 0),
            list_until=used.access.valid_until if used else None,
            hub_keys=self._exchange.key_ids,
            inputs=tuple(sorted(self._reading.inputs | self._conditions.inputs)),
            mark=self._telling.mark,
            waiting_from=recorder.oldest_number,
            newest=recorder.newest_number,
            knows_time=self._time_of_day.now() is not None,
        )
        self._telling.publish("state", self._telling.signed(state))

    def _answer(self, command: str, reason: Refusal | None, lasting: tuple[str, str] | None = None) -> None:
        self._reading = self._hardware.reading()
        outcome = Outcome(
            door=self._identity.door,
            command=command,
            result="refused" if reason else "done",
            reason=reason,
            boot=self._telling.boot,
            seq=self._telling.next_seq(),
            lock=self._reading.lock,
            contact=self._reading.contact,
        )
        self._telling.answer(outcome, lasting)


def _penalties_of(kept: dict[str, str]) -> dict[str, Penalty]:
    return {name: Penalty(*values) for name, values in orjson.loads(kept.get("tries", "{}")).items()}


async def _every(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        work()


def _version() -> str:
    try:
        return version("kommunevert")
    except PackageNotFoundError:
        return "source"
