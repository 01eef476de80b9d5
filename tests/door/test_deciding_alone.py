"""The real door program on its own: a list, something shown, no answer from the hub, and what may go wrong meanwhile."""

import asyncio
import signal
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from devices.access.passes import PREFIX, Pass
from devices.contract.door import ANSWER_SECONDS, AccessRequest, Event, Outcome, Signed, State
from devices.contract.enrolment import Enrolment
from devices.door.controller import Controller
from devices.door.hardware.interface import HardwareError
from devices.door.hardware.simulated import SimulatedDoor, SimulatedReader
from devices.door.identity import Identity
from devices.door.memory.journal import Journal
from tests.door.desk import Desk
from tests.door.door_process import DoorProcess
from tests.door.lists import KARI, signed_list
from tests.door.mosquitto import Mosquitto
from tests.patience import PATIENCE_SECONDS

ALONE = ANSWER_SECONDS + 0.8
"""So long it takes at most until a door that got no answer has decided."""


@pytest.fixture
def door_key(enrolment: Enrolment) -> SigningKey:
    return SigningKey(bytes.fromhex(enrolment.device_key))


async def has_list(desk: Desk, door_key: SigningKey, version: int = 1, **changes: object) -> None:
    desk.say("list", signed_list(desk.hub_key, door_key.verify_key, version, **changes), retain=True)
    await desk.until(lambda: [state for state in desk.all(State) if state.list_version == version])


def asked(desk: Desk) -> list[AccessRequest]:
    return [
        AccessRequest.model_validate_json(Signed.model_validate_json(heard.payload).content)
        for heard in desk.heard
        if heard.what == "shown"
    ]


async def order(desk: Desk, verb: str, **changes: object) -> Outcome:
    fields = {"verb": verb, "pulse_ms": None} | changes
    return (await desk.open(**fields))[0]


async def test_a_door_without_an_answer_opens_by_its_list(desk: Desk, door: DoorProcess, door_key: SigningKey) -> None:
    await has_list(desk, door_key)
    door.say(f"show card:{KARI}")
    (granted,) = await desk.until(lambda: [event for event in desk.all(Event) if event.kind == "granted"])
    assert (granted.credential, granted.rule, granted.side) == ("kari", 1, "in")
    assert len(asked(desk)) == 1
    await desk.until(lambda: door.pulses() == 1)
    assert KARI not in door.log.read_text()


async def test_a_late_answer_opens_nothing(desk: Desk, door: DoorProcess, door_key: SigningKey) -> None:
    await has_list(desk, door_key)
    door.say("show card:26:12:9999")
    (question,) = await desk.until(lambda: asked(desk))
    await desk.until(lambda: desk.events("denied", "unknown"))
    desk.say("command", desk.signed(_answer(question)))
    await desk.until(lambda: desk.events("command_refused", "no_challenge"))
    assert door.pulses() == 0


def _answer(question: AccessRequest) -> object:
    """`Desk.signed` takes what carries a command and its nonce."""
    return type("Asked", (), {"command": question.id, "nonce": question.nonce})()


async def test_a_lockdown_by_command_keeps_cards_out(desk: Desk, door: DoorProcess, door_key: SigningKey) -> None:
    """The list is of before; the hub is gone the moment after."""
    await has_list(desk, door_key)
    assert (await order(desk, "lockdown")).result == "done"
    door.say(f"show card:{KARI}")
    await desk.until(lambda: asked(desk))
    await asyncio.sleep(ALONE)  # nothing comes: this is what is looked at
    assert door.pulses() == 0


async def test_a_lockdown_by_command_outlives_kill_9(desk: Desk, door: DoorProcess, door_key: SigningKey) -> None:
    await has_list(desk, door_key)
    assert (await order(desk, "lockdown")).result == "done"
    await door.stop(signal.SIGKILL)
    await door.start()
    state = await desk.until(lambda: next((s for s in desk.all(State) if s.boot == 2 and s.list_version), None))
    assert state.lockdown


async def test_locked_outlives_kill_9_and_a_hold_does_not(desk: Desk, door: DoorProcess) -> None:
    assert (await order(desk, "lock")).result == "done"
    await door.stop(signal.SIGKILL)
    await door.start()
    assert (await desk.until(lambda: next((s for s in desk.all(State) if s.boot == 2), None))).mode == "locked"
    assert (await order(desk, "hold_open", hold_seconds=600)).lock == "unlocked"
    await door.stop(signal.SIGKILL)
    await door.start()
    state = await desk.until(lambda: next((s for s in desk.all(State) if s.boot == 3 and s.lock != "unknown"), None))
    assert (state.mode, state.lock) == ("schedule", "locked")
    assert door.pulses() == 0


async def test_killed_in_a_pulse_it_starts_idle_and_in_order(
    desk: Desk, door: DoorProcess, door_key: SigningKey
) -> None:
    await has_list(desk, door_key, pulse_ms=20_000)
    door.say(f"show card:{KARI}")
    await desk.until(lambda: [s for s in desk.all(State) if s.lock == "unlocked"])
    await door.stop(signal.SIGKILL)
    await door.start()
    await desk.until(lambda: next((s for s in desk.all(State) if s.boot == 2 and s.lock == "locked"), None))
    await desk.until(lambda: len(desk.events("started")) >= 2)
    await desk.until(lambda: door.pulses() == 1)
    numbers = {event.n for event in desk.all(Event)}
    assert numbers == set(range(1, max(numbers) + 1))


async def test_a_qr_pass_is_sent_to_the_hub(desk: Desk, door: DoorProcess, door_key: SigningKey) -> None:
    await has_list(desk, door_key)
    door.say("qr KV1.some-pass")
    (question,) = await desk.until(lambda: asked(desk))
    assert question.code == "KV1.some-pass"
    assert "some-pass" not in door.log.read_text()


async def test_a_card_held_at_the_reader_opens_once_and_not_for_long(
    desk: Desk, door: DoorProcess, door_key: SigningKey
) -> None:
    """A reader that repeats what lies on it fills no queue that opens the door when everybody has gone."""
    await has_list(desk, door_key)
    for _ in range(20):
        door.say(f"show card:{KARI}")
    begun = time.monotonic()
    await desk.until(lambda: asked(desk))
    await asyncio.sleep(5)
    before = door.pulses()
    await asyncio.sleep(3)
    assert door.pulses() == before, f"still opening {time.monotonic() - begun:.0f} s after the card was shown"


# -- in this process, with hardware and disks that fail ------------------------------------------------------


@asynccontextmanager
async def serving(
    desk: Desk, enrolment: Enrolment, hardware: SimulatedDoor, journal: Journal
) -> AsyncIterator[tuple[SimulatedReader, "asyncio.Task[None]"]]:
    reader, stop = SimulatedReader(), asyncio.Event()
    controller = Controller(Identity.of(enrolment), hardware, journal, (reader,), is_synchronised=lambda: True)
    running = asyncio.create_task(controller.run(stop))
    try:
        await desk.until_ready()
        yield reader, running
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait([running])


class Counted(SimulatedDoor):
    """`fails_to_unlock` times it does not, and then it does."""

    fails_to_unlock = 0
    pulsed_at: list[float]
    unlocked = 0

    def pulse(self, pulse_ms: int) -> None:
        self.pulsed_at.append(time.monotonic())
        super().pulse(pulse_ms)

    def unlock(self) -> None:
        if self.fails_to_unlock:
            self.fails_to_unlock -= 1
            raise HardwareError("relay board does not answer")
        self.unlocked += 1
        super().unlock()


def counted() -> Counted:
    hardware = Counted("seed")
    hardware.pulsed_at = []
    return hardware


async def test_what_was_refused_does_not_open_a_moment_later(desk: Desk, enrolment: Enrolment, tmp_path: Path) -> None:
    hardware = counted()
    async with serving(desk, enrolment, hardware, Journal(tmp_path / "state")):
        hardware.fails_to_unlock = 1
        outcome = await order(desk, "hold_open", hold_seconds=600)
        assert (outcome.result, outcome.reason) == ("refused", "hardware_failed")
        await asyncio.sleep(2.5)
        assert hardware.unlocked == 0


async def test_a_relay_that_fails_for_a_while_does_not_end_the_program(
    desk: Desk, enrolment: Enrolment, tmp_path: Path
) -> None:
    hardware = counted()
    async with serving(desk, enrolment, hardware, Journal(tmp_path / "state")) as (_, running):
        hardware.fails_to_unlock = 3
        await order(desk, "hold_open", hold_seconds=600)
        await asyncio.sleep(2.5)
        assert not running.done(), running.exception()


class Disk(Journal):
    """`free` is cleared: writing waits, as it does on a card that is about to die."""

    def __init__(self, folder: Path) -> None:
        self.free = threading.Event()
        self.free.set()
        super().__init__(folder)

    def apply(self, changes):
        self.free.wait(20)
        return super().apply(changes)


async def test_a_disk_that_stalls_opens_nothing_when_it_wakes(
    desk: Desk, enrolment: Enrolment, tmp_path: Path, door_key: SigningKey
) -> None:
    """Whoever showed the card has gone home."""
    hardware, disk = counted(), Disk(tmp_path / "state")
    async with serving(desk, enrolment, hardware, disk) as (reader, _):
        await has_list(desk, door_key)
        disk.free.clear()
        reader.handle_line(f"show card:{KARI}")
        await asyncio.sleep(8)
        assert hardware.pulsed_at == []
        disk.free.set()
        await asyncio.sleep(1.5)
        assert hardware.pulsed_at == []


class Full(Journal):
    """Takes nothing while `is_full`."""

    is_full = False

    def apply(self, changes):
        if self.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        return super().apply(changes)


async def test_locked_is_not_said_to_be_done_before_it_is_durable(
    desk: Desk, enrolment: Enrolment, tmp_path: Path
) -> None:
    """Killed now, the door would start unlocked by its schedule, and the hub would show it as locked."""
    disk = Full(tmp_path / "state")
    async with serving(desk, enrolment, counted(), disk):
        disk.is_full = True
        challenge = await desk.challenge("lock-it")
        desk.say("command", desk.signed(challenge, verb="lock", pulse_ms=None))
        await asyncio.sleep(2)
        assert [outcome.result for outcome in desk.outcomes("lock-it")] in ([], ["refused"])


async def test_events_are_handed_over_in_order_while_many_wait(
    desk: Desk, door: DoorProcess, broker: Mosquitto
) -> None:
    """No event before an earlier one that has no receipt, also at the moment of a new connection."""
    broker.stop()
    for _ in range(8):
        door.say("exit_button")
        door.say("fire on")
        door.say("fire off")
        await asyncio.sleep(0.02)
    heard = len(desk.heard)
    broker.start()
    for _ in range(60):
        door.say("tamper on")
        door.say("tamper off")
        await asyncio.sleep(0.05)
    await desk.until(lambda: [h for h in desk.heard[heard:] if isinstance(h.message, Event)])
    await asyncio.sleep(2)
    came = [h.message.n for h in desk.heard[heard:] if isinstance(h.message, Event)]
    reached = 0
    for number in came:
        assert number <= reached + 1 or reached == 0, came
        reached = max(reached, number)


OLD = """
CREATE TABLE start (one INTEGER PRIMARY KEY CHECK (one = 1), boot INTEGER NOT NULL, mark TEXT NOT NULL);
CREATE TABLE waiting (
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE acted (n INTEGER PRIMARY KEY AUTOINCREMENT, command TEXT NOT NULL UNIQUE);
CREATE TABLE held (kind TEXT NOT NULL, reason TEXT, count INTEGER NOT NULL, first_at TEXT NOT NULL);
"""


async def test_what_waits_in_a_journal_of_before_gets_a_number(
    desk: Desk, enrolment: Enrolment, tmp_path: Path, door_key: SigningKey
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    event = b'{"id":"3-1-0badcafe","door":"door-1","kind":"exit_button","count":1,"happened_at":"2026-11-20T08:00:00Z"}'
    payload = Signed.sign_content(event, door_key, "door-1").encoded()
    with closing(sqlite3.connect(folder / "journal.sqlite")) as database, database:
        database.executescript(OLD)
        database.execute("INSERT INTO start VALUES (1, 3, '0badcafe')")
        database.execute(
            "INSERT INTO waiting (id, kind, payload) VALUES ('3-1-0badcafe', 'exit_button', ?)", (payload,)
        )
    async with serving(desk, enrolment, counted(), Journal(folder)):
        kept = await desk.until(lambda: [e for e in desk.events("exit_button") if e.id == "3-1-0badcafe"])
        assert kept[0].n >= 1


async def test_a_pass_opens_once_also_after_a_power_cut(desk: Desk, door: DoorProcess, door_key: SigningKey) -> None:
    await has_list(desk, door_key)
    now = int(time.time())
    made = Pass(id="p1", doors=("door-1",), first=now - 60, until=now + 600, once=True)
    text = made.text("hub-1", desk.hub_key.sign(PREFIX + made.content()).signature)
    forged = made.text("hub-1", SigningKey.generate().sign(PREFIX + made.content()).signature)
    door.say(f"qr {forged}")
    (denied,) = await desk.until(lambda: [event for event in desk.all(Event) if event.kind == "denied"])
    assert denied.reason == "unknown"
    door.say(f"qr {text}")
    (granted,) = await desk.until(lambda: [event for event in desk.all(Event) if event.kind == "granted"])
    assert (granted.visit_pass, granted.credential) == ("p1", None)
    await desk.until(lambda: door.pulses() == 1)
    await door.stop(signal.SIGKILL)
    await door.start()
    await desk.until(lambda: [state for state in desk.all(State) if state.boot == 2 and state.list_version == 1])
    door.say(f"qr {text}")
    await desk.until(lambda: [event for event in desk.all(Event) if event.kind == "denied" and event.reason == "used"])
    assert door.pulses() == 1
