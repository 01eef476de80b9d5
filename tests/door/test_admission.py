"""Something is shown at the door: with the hub, without it, too often, and across a power cut."""

import asyncio
import re
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from nacl.signing import SigningKey

from devices.access.credentials import fingerprint
from devices.access.deciding import Reason
from devices.access.lists import Credential, DoorAccess, Opening, Rule
from devices.access.times import Times
from devices.contract.door import AccessRequest, Command, Event, Signed, State
from devices.contract.payload import new_id
from devices.door.hardware.reader import Presented
from tests.conftest import until
from tests.door.desk import Desk
from tests.door.door_process import DoorProcess

KEY = bytes(range(32))
CARD, PIN = "card:26:12:3456", "481593"


def access(**changes: object) -> DoorAccess:
    now = datetime.now(UTC)
    made = {"door": "door-1", "version": 1, "made_at": now, "valid_until": now + timedelta(hours=36)}
    return DoorAccess.model_validate(made | {"rules": (Rule(id=1),), "pulse_ms": 700} | changes)


def roll(**changes: object) -> dict[str, Credential]:
    made = {"ref": "kari", "rules": frozenset({1}), "pin": fingerprint(KEY, f"pin:{PIN}"), "arrives": True}
    return {fingerprint(KEY, CARD): Credential(**(made | changes))}  # type: ignore[arg-type]


async def give_list(desk: Desk, **changes: object) -> None:
    version = int(changes.get("version", 1))  # type: ignore[call-overload]
    desk.say("list", desk.list_of(access(**changes), roll(), KEY), retain=True)
    await desk.until(lambda: [state for state in desk.all(State) if state.list_version == version])


def answer(desk: Desk, shown: AccessRequest, verb: str = "pulse", why: Reason | None = None) -> bytes:
    command = Command.model_construct(
        door="door-1",
        command=shown.id,
        verb=verb,
        pulse_ms=700 if verb == "pulse" else None,
        why=why,
        nonce=shown.nonce,
        audit=1,
    )
    return Signed.sign(command, desk.hub_key, "hub-1").encoded()


async def shown(desk: Desk, number: int) -> AccessRequest:
    return (await desk.until(lambda: desk.all(AccessRequest)[number - 1 :]))[0]


def signals(door: DoorProcess) -> list[object]:
    return [line["signal"] for line in door.lines("reader_signal")]


async def test_the_hub_answers_and_the_door_opens(desk: Desk, door: DoorProcess) -> None:
    await give_list(desk)
    door.say(f"show {CARD}")
    first = await shown(desk, 1)
    assert (first.card, first.reader, first.side) == (fingerprint(KEY, CARD), "ute", "in")
    desk.say("command", answer(desk, first))
    outcomes = await desk.until(lambda: desk.outcomes(first.id))
    assert (outcomes[0].result, outcomes[0].lock) == ("done", "unlocked")
    await until(lambda: signals(door) == ["granted"])
    await until(lambda: door.pulses() == 1)

    door.say("show card:26:1:1")
    second = await shown(desk, 2)
    desk.say("command", answer(desk, second, "deny", "unknown"))
    await until(lambda: signals(door) == ["granted", "denied"])
    assert door.pulses() == 1
    assert "3456" not in door.log.read_text()


async def test_a_pin_follows_its_card(desk: Desk, door: DoorProcess) -> None:
    await give_list(desk)
    door.say(f"show {CARD}")
    desk.say("command", answer(desk, await shown(desk, 1), "deny", "pin_wanted"))
    await until(lambda: signals(door) == ["pin_wanted"])
    door.say(f"pin {PIN}")
    both = await shown(desk, 2)
    assert (both.card, both.pin) == (fingerprint(KEY, CARD), fingerprint(KEY, f"pin:{PIN}"))
    assert PIN not in door.log.read_text()


async def test_a_silent_hub_leaves_it_to_the_door_and_a_late_answer_opens_nothing(
    desk: Desk, door: DoorProcess
) -> None:
    await give_list(desk)
    door.say(f"show {CARD}")
    late = answer(desk, await shown(desk, 1))
    granted = (await desk.until(lambda: desk.events("granted")))[0]
    assert (granted.credential, granted.rule, granted.reader) == ("kari", 1, "ute")
    await until(lambda: door.pulses() == 1)
    desk.say("command", late)
    await desk.until(lambda: desk.events("command_refused", "no_challenge"))
    assert door.pulses() == 1

    door.say("show card:26:1:1")
    denied = (await desk.until(lambda: desk.events("denied", "unknown")))[0]
    assert (denied.credential, denied.shown) == (None, fingerprint(KEY, "card:26:1:1"))


async def test_without_contact_it_goes_on_and_tells_afterwards_in_order(desk: Desk, door: DoorProcess, broker) -> None:  # type: ignore[no-untyped-def]
    await give_list(desk)
    for event in desk.all(Event):
        desk.receipt(event.id)
    broker.stop()
    for number in range(3):
        door.say(f"show {CARD}")
        await until(lambda number=number: door.pulses() == number + 1)  # type: ignore[misc]
    broker.start()
    granted = await desk.until(lambda: (found := desk.events("granted")) and len(found) >= 3 and found)
    numbers = [event.n for event in granted]
    assert numbers == sorted(numbers)
    # a door without gaps: every number there is has been told
    told = {event.n for event in desk.all(Event)}
    assert told == set(range(1, max(told) + 1))


async def test_guessing_takes_long_and_a_restart_is_no_way_out(desk: Desk, door: DoorProcess) -> None:
    await give_list(desk)
    for number in range(5):
        door.say(f"show card:26:1:{number}")
        desk.say("command", answer(desk, await shown(desk, number + 1), "deny", "unknown"))
        await until(lambda number=number: len(signals(door)) == number + 1)  # type: ignore[misc]
    await desk.until(lambda: desk.events("too_many_tries"))
    door.say(f"show {CARD}")
    await until(lambda: signals(door)[-1] == "waiting")
    assert len(desk.all(AccessRequest)) == 5
    await door.stop()
    await door.start()
    await desk.until(lambda: len(desk.events("started")) >= 2)
    door.say(f"show {CARD}")
    await until(lambda: signals(door)[-2:] == ["waiting", "waiting"])
    assert door.pulses() == 0


async def test_only_a_list_of_the_hubs_for_this_door_that_is_newer_counts(desk: Desk, door: DoorProcess) -> None:
    await give_list(desk, version=5)
    honest = desk.hub_key
    desk.hub_key = SigningKey.generate()
    forged = desk.list_of(access(version=6), roll(), KEY)
    desk.hub_key = honest
    for bad in (
        forged,
        desk.list_of(access(version=4), {}, KEY),
        desk.list_of(access(version=6, door="x"), {}, KEY),
        b"{}",
    ):
        refused = len(desk.events("list_refused"))
        desk.say("list", bad)
        await desk.until(lambda refused=refused: len(desk.events("list_refused")) > refused)  # type: ignore[misc]
    assert desk.all(State)[-1].list_version == 5
    await door.stop()
    await door.start()
    await desk.until(lambda: (newest := desk.all(State)[-1]).boot == 2 and newest.list_version == 5)
    (door.state / "list.json").write_bytes(b"garbage")
    await door.stop()
    await door.start()
    await desk.until(lambda: (newest := desk.all(State)[-1]).boot == 3 and newest.list_version == 5)  # the retained one
    assert list(door.state.glob("list.damaged"))


async def test_keys_change_hands_with_an_overlap(desk: Desk, door: DoorProcess) -> None:
    fresh = SigningKey.generate()
    desk.say("list", desk.list_of(access(version=1), roll(), KEY, hub_1=desk.hub_key, hub_2=fresh))
    await desk.until(lambda: desk.all(State)[-1].hub_keys == ("hub-1", "hub-2"))

    async def result(key: SigningKey, name: str) -> bool:
        challenge = await desk.challenge(new_id())
        content = Command(
            door="door-1", command=challenge.command, verb="pulse", pulse_ms=100, nonce=challenge.nonce, audit=1
        ).encoded()
        before = len(desk.events("command_refused", "bad_signature"))
        desk.say("command", Signed.sign_content(content, key, name).encoded())
        await desk.until(
            lambda: desk.outcomes(challenge.command) or len(desk.events("command_refused", "bad_signature")) > before
        )
        return bool(desk.outcomes(challenge.command))

    assert await result(desk.hub_key, "hub-1")
    assert await result(fresh, "hub-2")
    desk.say("list", desk.list_of(access(version=2), roll(), KEY, hub_2=fresh))
    await desk.until(lambda: desk.all(State)[-1].hub_keys == ("hub-2",))
    assert not await result(desk.hub_key, "hub-1")
    assert await result(fresh, "hub-2")


# -- standing open, locked, shut down


async def test_a_hold_ends_by_itself_and_does_not_outlive_a_restart(desk: Desk, door: DoorProcess) -> None:
    outcome = await desk.tell("hold_open", hold_seconds=2)
    assert (outcome.result, outcome.lock) == ("done", "unlocked")
    assert desk.all(State)[-1].mode == "held_open"
    await desk.until(lambda: desk.events("hold_ended"))
    await desk.until(lambda: desk.all(State)[-1].lock == "locked")
    await desk.tell("hold_open", hold_seconds=600)
    await door.stop(signal.SIGKILL)
    await door.start()
    await desk.until(lambda: (newest := desk.all(State)[-1]).boot == 2 and newest.lock == "locked")
    assert (desk.all(State)[-1].mode, desk.all(State)[-1].hold_seconds) == ("schedule", 0)
    assert door.pulses() == 0


async def test_a_lockdown_outlives_a_power_cut_and_the_way_out_is_free(desk: Desk, door: DoorProcess) -> None:
    await give_list(desk, opening=Opening(times=Times()))
    await desk.until(lambda: desk.events("opened_by_schedule"))
    older = access(version=2, opening=Opening(times=Times()))
    outcome = await desk.tell("lockdown")
    assert (outcome.result, outcome.lock) == ("done", "locked")
    desk.say("list", desk.list_of(older, roll(), KEY))
    await desk.until(lambda: (newest := desk.all(State)[-1]).list_version == 2 and newest.lockdown)
    await door.stop(signal.SIGKILL)
    await door.start()
    await desk.until(lambda: (newest := desk.all(State)[-1]).boot == 2 and newest.lockdown and newest.lock == "locked")
    door.say("exit_button")  # wired to the lock; it is seen, and nobody is told that the door was forced
    await desk.until(lambda: desk.events("exit_button"))
    await desk.until(lambda: desk.all(State)[-1].contact == "open")
    assert not desk.events("forced_open")
    await desk.tell("lift_lockdown")
    await desk.until(lambda: desk.all(State)[-1].lock == "unlocked")
    await desk.tell("lock")
    assert (desk.all(State)[-1].mode, desk.all(State)[-1].lock) == ("locked", "locked")
    await desk.tell("resume")
    await desk.until(lambda: desk.all(State)[-1].lock == "unlocked")


async def test_a_list_says_of_a_lockdown_what_it_knows_more_than_the_last_order(desk: Desk, door: DoorProcess) -> None:
    """By the numbers of the audit log, and not by two clocks."""
    await give_list(desk)
    await desk.tell("lockdown", audit=10)
    await desk.tell("lift_lockdown", audit=12)
    for version, knows, is_shut in ((2, 10, False), (3, 14, True)):
        desk.say("list", desk.list_of(access(version=version, lockdown=True, audit=knows), roll(), KEY), retain=True)
        await desk.until(lambda version=version: desk.all(State)[-1].list_version == version)
        assert desk.all(State)[-1].lockdown is is_shut
    await door.stop(signal.SIGKILL)
    with (
        closing(sqlite3.connect(door.state / "journal.sqlite")) as database,
        database,
    ):  # the power went between list and mode
        database.execute("DELETE FROM lasting WHERE name = 'modes'")
    database.close()
    await door.start()
    await desk.until(lambda: (newest := desk.all(State)[-1]).boot == 2 and newest.list_version == 3 and newest.lockdown)


async def test_the_schedule_waits_for_the_first_employee(desk: Desk, door: DoorProcess) -> None:
    await give_list(desk, opening=Opening(times=Times(), after_arrival=True))
    await asyncio.sleep(1.5)  # more than one look
    assert desk.all(State)[-1].lock == "locked"
    door.say(f"show {CARD}")
    await desk.until(lambda: desk.events("granted"))
    await desk.until(lambda: desk.events("opened_by_schedule"))
    await door.stop()
    await door.start()
    await desk.until(lambda: (newest := desk.all(State)[-1]).boot == 2 and newest.lock == "unlocked")


async def test_a_power_cut_in_the_middle_of_a_pulse(desk: Desk, door: DoorProcess) -> None:
    await give_list(desk)
    door.say(f"show {CARD}")
    await until(lambda: door.pulses() == 1)
    await door.stop(signal.SIGKILL)
    with closing(sqlite3.connect(door.state / "journal.sqlite")) as database, database:
        kinds = [row[0] for row in database.execute("SELECT kind FROM waiting ORDER BY n")]
    assert "granted" in kinds  # it was written before the relay moved
    await door.start()
    await desk.until(lambda: (newest := desk.all(State)[-1]).boot == 2 and newest.lock == "locked")
    assert door.pulses() == 1


async def test_what_is_seen_of_the_door_is_told(desk: Desk, door: DoorProcess) -> None:
    await give_list(desk, held_open_seconds=5)
    door.say("fire on")
    await desk.until(lambda: desk.events("fire"))
    assert desk.all(State)[-1].inputs == ("fire",)
    for word in ("fire off", "tamper on", "tamper off", "mains_lost on", "mains_lost off"):
        door.say(word)
    for kind in ("fire_over", "tamper", "tamper_over", "mains_lost", "mains_back"):
        await desk.until(lambda kind=kind: desk.events(kind))  # type: ignore[misc]
    door.say("hold_open")
    await desk.until(lambda: desk.events("forced_open"))
    await desk.until(lambda: desk.events("held_too_long"))
    door.say("shut")
    await desk.until(lambda: desk.events("closed_again"))


def test_no_word_of_what_was_shown_is_in_the_log() -> None:

    text = repr(Presented(card=CARD, pin=PIN, code="KV"))
    assert not re.search(r"3456|481593|KV", text)


@pytest.mark.parametrize("kind", ["granted"])
async def test_a_full_disk_lets_nobody_in_alone(kind: str, desk: Desk, door: DoorProcess) -> None:
    """A door never opens without its line."""
    await give_list(desk)
    await door.stop()
    with closing(sqlite3.connect(door.state / "journal.sqlite")) as database, database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON waiting WHEN NEW.kind = 'granted' BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    await door.start()
    await desk.until(lambda: desk.all(State)[-1].boot == 2)
    door.say(f"show {CARD}")
    await until(lambda: signals(door) == ["denied"])
    assert door.pulses() == 0
    assert not desk.events(kind)
