"""The controller as it runs: its own process, a real broker, and everything that may go wrong between."""

import asyncio
import json
import signal
import time

import pytest
from nacl.signing import SigningKey

from devices.contract.alive import Status
from devices.contract.door import COMMAND_SECONDS, Event, Outcome, State
from devices.contract.enrolment import Enrolment
from devices.contract.payload import new_id
from tests.door.desk import Desk
from tests.door.door_process import DoorProcess
from tests.door.mosquitto import Mosquitto


async def test_a_signed_command_opens_the_door_once(desk: Desk, door: DoorProcess) -> None:
    outcome, _ = await desk.open(pulse_ms=4000)
    assert (outcome.result, outcome.reason, outcome.lock) == ("done", None, "unlocked")
    await desk.until(lambda: door.pulses() == 1)
    await desk.until(lambda: [state for state in desk.all(State) if state.contact == "open"])
    await desk.until(lambda: (desk.all(State)[-1].lock, desk.all(State)[-1].contact) == ("locked", "closed"))
    numbers = [(state.boot, state.seq) for state in desk.all(State)]
    assert numbers == sorted(set(numbers))
    assert not desk.events("forced_open")


async def test_the_state_starts_unknown(desk: Desk, door: DoorProcess) -> None:
    first = desk.all(State)[0]
    assert (first.lock, first.contact) == ("unknown", "unknown")


async def test_bad_commands_do_nothing_and_are_reported_until_the_receipt(desk: Desk, door: DoorProcess) -> None:
    done, replay = await desk.open()
    desk.say("command", replay)
    desk.say("command", desk.nonsense())
    challenge = await desk.challenge(new_id())
    desk.say("command", desk.signed(challenge, key=SigningKey.generate()))
    desk.say("command", desk.signed(challenge, door="door-2"))
    desk.say("command", desk.signed(challenge), retain=True)
    desk.say("command", desk.signed(challenge, nonce="0" * 32))
    desk.say("command", desk.signed(challenge, verb="self_destruct"))
    reasons = {
        "replayed",
        "malformed",
        "bad_signature",
        "other_door",
        "retained",
        "no_challenge",
        "unknown_verb",
    }

    def refused() -> list[Event]:
        return [event for event in desk.all(Event) if event.kind == "command_refused"]

    await desk.until(lambda: {event.reason for event in refused()} == reasons)
    ids = {event.id for event in refused()}
    assert len(ids) == len(reasons)
    await desk.until(lambda: door.pulses() == 1)

    # Only the last was one that the hub could wait for: what is forged or replayed makes no outcome.
    assert [o.result for o in desk.outcomes(done.command)] == ["done"]
    outcomes = await desk.until(lambda: desk.outcomes(challenge.command))
    assert [(o.result, o.reason) for o in outcomes] == [("refused", "unknown_verb")]

    # The nonce is spent by the unknown verb: the honest command has come too late.
    desk.say("command", desk.signed(challenge))
    await desk.until(lambda: len(desk.events("command_refused", "no_challenge")) >= 2)
    assert door.pulses() == 1

    # No receipt: all come again by themselves, and no more once the hub has them.
    await desk.until(lambda: all([e.id for e in refused()].count(one) >= 2 for one in ids))
    await desk.until(lambda: len(desk.outcomes(done.command)) >= 2)
    for event in desk.all(Event):
        desk.receipt(event.id)
    desk.receipt(done.command)
    desk.receipt(challenge.command)
    last, _ = await desk.open()  # after the receipts: the door has taken them all
    assert await door.stop() == 0
    assert door.waiting() == [last.command]


async def test_a_command_that_is_held_back_is_late(desk: Desk, door: DoorProcess) -> None:
    challenge = await desk.challenge(new_id())
    await asyncio.sleep(COMMAND_SECONDS + 0.3)  # the delay is the experiment
    desk.say("command", desk.signed(challenge))
    outcomes = await desk.until(lambda: desk.outcomes(challenge.command))
    assert [(outcome.result, outcome.reason) for outcome in outcomes] == [("refused", "late")]
    await desk.until(lambda: desk.events("command_refused", "late"))
    assert door.pulses() == 0


async def test_a_retained_command_does_nothing_at_any_start(desk: Desk, door: DoorProcess) -> None:
    challenge = await desk.challenge(new_id())
    desk.say("command", desk.signed(challenge), retain=True)
    await desk.until(lambda: desk.events("command_refused", "retained"))
    await door.stop()
    await door.start()
    await desk.until(lambda: len({event.id for event in desk.events("command_refused", "retained")}) == 2)
    assert door.pulses() == 0


async def test_killed_between_challenge_and_command(desk: Desk, door: DoorProcess) -> None:
    challenge = await desk.challenge(new_id())
    await door.stop(signal.SIGKILL)
    before = len(desk.heard)
    await door.start()
    await desk.until(lambda: [h for h in desk.heard[before:] if h.what == "state"])
    desk.say("command", desk.signed(challenge))
    await desk.until(lambda: desk.events("command_refused", "no_challenge"))
    assert door.pulses() == 0
    assert desk.outcomes(challenge.command) == []
    assert {state.boot for state in desk.all(State)} == {1, 2}


async def test_killed_before_the_receipt(desk: Desk, door: DoorProcess) -> None:
    """Repeated, because the instant of the kill decides what is on disk."""
    for boot in range(1, 5):
        command = new_id()
        challenge = await desk.challenge(command)
        payload = desk.signed(challenge)
        desk.say("command", payload)
        (outcome,) = await desk.until(lambda command=command: desk.outcomes(command))
        assert outcome.boot == boot
        door.say("exit_button")
        await desk.until(lambda boot=boot: any(e.id.startswith(f"{boot}-") for e in desk.events("exit_button")))
        told = {event.id for event in desk.all(Event)}
        await door.stop(signal.SIGKILL)
        assert told <= set(door.waiting())  # what was told was on disk before
        before = len(desk.heard)
        await door.start()

        def again(before: int = before) -> set[str]:
            return {h.message.id for h in desk.heard[before:] if isinstance(h.message, Event)}

        await desk.until(lambda told=told, again=again: told <= again())
        desk.say("command", payload)
        await desk.until(
            lambda boot=boot: len({e.id for e in desk.all(Event) if e.reason in {"replayed", "no_challenge"}}) >= boot
        )
        assert door.pulses() == boot
        assert {o.result for o in desk.outcomes(command)} == {"done"}


async def test_the_outcome_comes_again_after_the_broker_died(desk: Desk, door: DoorProcess, broker: Mosquitto) -> None:
    outcome, _ = await desk.open()
    broker.kill()
    before = len(desk.heard)
    broker.start()
    await desk.until(lambda: [h for h in desk.heard[before:] if h.message == outcome])
    second, _ = await desk.open()
    assert second.result == "done"
    await desk.until(lambda: door.pulses() == 2)


async def test_the_exit_button_is_seen_and_a_forced_door_is_told(desk: Desk, door: DoorProcess) -> None:
    door.say("exit_button")
    await desk.until(lambda: desk.events("exit_button"))
    await desk.until(lambda: desk.all(State)[-1].contact == "open")
    await desk.until(lambda: desk.all(State)[-1].contact == "closed")
    assert not desk.events("forced_open")
    assert {state.lock for state in desk.all(State)} == {"locked", "unknown"}
    await door.stop()
    await door.start()
    await desk.until(lambda: desk.all(State)[-1].boot == 2 and desk.all(State)[-1].contact == "closed")
    door.say("force_open")
    await desk.until(lambda: desk.events("forced_open"))
    assert door.pulses() == 0


async def test_a_flood_is_counted_and_not_written(desk: Desk, door: DoorProcess) -> None:
    total = 500
    forged = desk.signed(await desk.challenge(new_id()), key=SigningKey.generate())
    for _ in range(total):
        desk.say("command", forged)

    def told() -> dict[str, int]:
        return {event.id: event.count for event in desk.events("command_refused", "bad_signature")}

    await desk.until(lambda: sum(told().values()) == total, 40)
    assert len(told()) <= 15
    assert (await desk.open())[0].result == "done"
    await door.stop()
    assert len(door.waiting()) < 30


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "parent"])
async def test_it_stops_cleanly(desk: Desk, door: DoorProcess, way: str) -> None:
    if way == "parent":
        door.process.stdin.close()
    else:
        door.process.send_signal(getattr(signal, way))
    assert await door.ended() == 0
    await desk.until(lambda: [h for h in desk.heard if h.payload == Status(online=False).encoded()])
    assert door.lines("stopped")


async def test_a_killed_controller_is_offline_by_its_will(desk: Desk, door: DoorProcess) -> None:
    await door.stop(signal.SIGKILL)
    await desk.until(lambda: [h for h in desk.heard if h.payload == Status(online=False).encoded()])


async def test_the_log_is_json_without_secrets(
    desk: Desk, door: DoorProcess, enrolment: Enrolment, broker: Mosquitto
) -> None:
    await desk.open()
    broker.stop()
    broker.start()
    await desk.until(lambda: desk.wire.connected and (desk.heard[-1].what == "outcome"))
    assert await door.stop() == 0
    text = door.log.read_text()
    assert all(json.loads(line) for line in text.splitlines())
    assert enrolment.secret not in text
    assert enrolment.device_key not in text


async def test_a_wrong_enrolment_says_what_is_wrong(desk: Desk, door: DoorProcess) -> None:
    await door.stop()
    enrolment = json.loads(door.enrolment.read_text())
    enrolment["hub_key"] = "no key"
    door.enrolment.write_text(json.dumps(enrolment))
    await door.start()
    assert await door.ended() == 2
    assert "hub_key" in str(door.lines("start_failed")[-1]["problem"])


async def test_a_journal_that_cannot_be_opened_is_said_in_a_line(desk: Desk, door: DoorProcess) -> None:
    await door.stop()
    for file in door.state.glob("journal.sqlite*"):
        file.unlink()
    (door.state / "journal.sqlite").mkdir()
    await door.start()
    assert await door.ended() == 2
    assert "unable to open database file" in str(door.lines("start_failed")[-1]["problem"])


async def test_an_exchange_is_quick(desk: Desk, door: DoorProcess) -> None:
    """No Nagle, no fsync between command and relay. The limit is wide: it shall find 40 ms stalls."""
    took = []
    for _ in range(20):
        challenge = await desk.challenge(command := new_id())
        begun = time.monotonic()
        desk.say("command", desk.signed(challenge))
        await desk.until(lambda command=command: desk.outcomes(command))
        took.append(time.monotonic() - begun)
    assert sorted(took)[10] < 0.03
    assert len(desk.all(Outcome)) >= 20
