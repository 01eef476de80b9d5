"""A door from the console's button to the relay: the real controller, the real signer, and a broker that lies."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from nacl.signing import SigningKey
from sqlalchemy import select, update

from devices.contract import door as contract
from devices.contract.payload import new_id
from devices.wire.connection import Address, Received, Wire
from hub.broker.accounts import mosquitto_hash
from hub.hub import Hub
from hub.store import audit
from hub.store.store import now
from plugins.locks import Plugin
from plugins.locks.models import Order, TooManyCommandsError, UnknownDoorError
from plugins.locks.store import rows
from plugins.locks.store.tables import command as command_table
from plugins.locks.trust.signer import RefusedError, Store, check
from plugins.locks.trust.signing import SigningError
from tests.api_client import browser, program
from tests.conftest import running_hub, until, until_async
from tests.door.door_process import DoorProcess


def locks(hub: Hub) -> Plugin:
    return hub.host.plugins["locks"].instance


@pytest_asyncio.fixture
async def door(hub: Hub, tmp_path: Path) -> AsyncIterator[DoorProcess]:
    (tmp_path / "door").mkdir()
    process = DoorProcess(
        tmp_path / "door", await hub.enroller.enrol("door-1", "door", "Hovudinngang", "1. etasje", "test")
    )
    await process.start()
    await until(lambda: locks(hub).states.of("door-1").lock == "locked")
    yield process
    await process.stop()


async def outcomes(hub: Hub) -> list[tuple[str | None, str | None]]:
    commands, _ = await locks(hub).locks.history()
    return [(one.outcome, one.outcome_reason) for one in commands]


async def reports(hub: Hub) -> list[tuple[str, str | None]]:
    _, found = await locks(hub).locks.history()
    return [(one.kind, one.reason) for one in found if one.kind != "started"]


async def test_one_command_is_one_pulse_with_intent_and_outcome_on_record(hub: Hub, door: DoorProcess) -> None:
    assert await locks(hub).locks.pulse("door-1", "kari", "varelevering") == "done"
    assert door.pulses() == 1
    assert await outcomes(hub) == [("done", None)]
    entries = [entry for entry in await hub.store.read(audit.newest) if entry.action.startswith("door.")]
    assert [entry.action for entry in entries if entry.action in ("door.outcome", "door.intent")] == [
        "door.outcome",
        "door.intent",
    ]
    assert next(entry.actor for entry in entries if entry.action == "door.intent") == "kari"
    assert await hub.store.read(audit.first_broken) is None
    await until(lambda: locks(hub).states.of("door-1").lock == "unlocked")
    await until(lambda: locks(hub).states.of("door-1").lock == "locked")


async def test_an_unknown_door_is_no_intent(hub: Hub) -> None:
    with pytest.raises(UnknownDoorError):
        await locks(hub).locks.pulse("door-9", "kari")
    assert await outcomes(hub) == []


async def test_a_dead_controller_is_refused_by_us_and_its_state_becomes_unknown(
    hub: Hub, door: DoorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.stop()
    monkeypatch.setattr(contract, "COMMAND_SECONDS", 0.5)
    monkeypatch.setattr(contract, "CONFIRMED_SECONDS", 0.5)
    assert await locks(hub).locks.pulse("door-1", "kari") == "refused"
    assert await outcomes(hub) == [("refused", "door_silent")]
    await until(lambda: locks(hub).states.of("door-1").lock == "unknown")
    assert not hub.devices.vitals("door-1").is_alive
    await door.start()
    await until(lambda: locks(hub).states.of("door-1").lock == "locked")


async def test_too_many_commands_are_stopped(hub: Hub, door: DoorProcess) -> None:
    for _ in range(20):
        assert await locks(hub).locks.pulse("door-1", "kari") == "done"
    with pytest.raises(TooManyCommandsError):
        await locks(hub).locks.pulse("door-1", "kari")
    assert door.pulses() == 20


async def test_the_signer_signs_only_what_stands_in_the_store(hub: Hub, door: DoorProcess) -> None:
    plugin = locks(hub)
    forged = contract.Command(door="door-1", command=new_id(), verb="pulse", pulse_ms=4000, nonce="0" * 32, audit=1)
    with pytest.raises(SigningError, match="no committed intent"):
        await plugin.hub_keys.sign(forged)
    await plugin.locks.pulse("door-1", "kari")
    row = await hub.store.read(lambda connection: connection.execute(select(command_table)).one())
    done = forged.model_copy(update={"command": row.id, "audit": row.audit})
    with pytest.raises(SigningError, match="signed before"):
        await plugin.hub_keys.sign(done)

    async def intended(**changes: Any) -> contract.Command:
        fresh = new_id()
        signs = orjson.loads(row.signs) | {"command": fresh}
        values = row._asdict() | {"id": fresh, "outcome": None, "ended_at": None, "signs": orjson.dumps(signs).decode()}
        await hub.store.write(lambda connection: connection.execute(command_table.insert(), values | changes))
        return forged.model_copy(update={"command": fresh, "audit": row.audit})

    for other in ({"pulse_ms": 30_000}, {"door": "door-2"}, {"verb": "lock"}, {"hold_seconds": 60}, {"audit": 1000}):
        with pytest.raises(SigningError, match="not what was intended"):
            await plugin.hub_keys.sign((await intended()).model_copy(update=other))
    with pytest.raises(SigningError, match="ended already"):
        await plugin.hub_keys.sign(await intended(outcome="refused"))
    old = row.asked_at.replace(year=row.asked_at.year - 1)
    with pytest.raises(SigningError, match="too old"):
        await plugin.hub_keys.sign(await intended(asked_at=old))
    assert (await plugin.hub_keys.sign(await intended())).key == "hub-1"
    with pytest.raises(SigningError, match="no committed intent"):
        await plugin.hub_keys.sign_content(b"list\nof somebody else's making")


class _Unasked(Store):
    def __init__(self) -> None: ...

    def one(self, *_asked: Any) -> None:
        pytest.fail("asked the store")


@pytest.mark.parametrize(
    "content",
    [
        b'{"door":"door-1", "command":"c"}',
        b'{"door":"door-2","door":"door-1","command":"c"}',
        b'["door-1"]',
        b'{"door":"door-1","command":"c","nonce":"short"}',
    ],
)
def test_the_signer_reads_only_what_can_be_read_in_one_way(content: bytes) -> None:
    with pytest.raises(RefusedError, match=r"not written as we write it|malformed"):
        check(content, _Unasked(), set())


class _Listening(Wire):
    seen: list[Received]


@pytest_asyncio.fixture
async def intruder(hub: Hub, door: DoorProcess) -> AsyncIterator[_Listening]:
    """A second account with the hub's rights: what a broker taken over could do."""
    assert hub.broker is not None
    folder = hub.settings.data / "broker"
    (folder / "passwords").write_text((folder / "passwords").read_text() + f"evil:{mosquitto_hash('evil')}\n")
    (folder / "acl").write_text((folder / "acl").read_text() + "\nuser evil\ntopic readwrite #\n")
    os.kill(int((folder / "mosquitto.pid").read_text()), signal.SIGHUP)
    seen: list[Received] = []
    wire = _Listening(Address("127.0.0.1", hub.settings.broker.port, "evil", "evil"), on_message=seen.append)
    wire.seen = seen
    wire.subscribe("kommunevert/test/door/#", 0)
    running = asyncio.create_task(wire.run())
    await wire.until_connected()
    yield wire
    running.cancel()
    await asyncio.wait({running})


DOWN = "kommunevert/test/door/door-1/down/command"


async def seen_command(wire: _Listening) -> bytes:
    found = await until(lambda: [one.payload for one in wire.seen if one.topic == DOWN and one.payload])
    return bytes(found[0])


@pytest.mark.parametrize(("retain", "why"), [(False, "replayed"), (True, "retained")])
async def test_a_replayed_command_does_nothing_and_is_reported(
    hub: Hub, door: DoorProcess, intruder: _Listening, retain: bool, why: str
) -> None:
    await locks(hub).locks.pulse("door-1", "kari")
    recorded = await seen_command(intruder)
    intruder.publish(DOWN, recorded, retain=retain)

    async def is_reported() -> bool:
        return ("command_refused", why) in await reports(hub)

    await until_async(is_reported)
    assert door.pulses() == 1
    assert await outcomes(hub) == [("done", None)]


async def test_a_command_that_lies_retained_does_nothing_at_boot_and_is_swept_away(
    hub: Hub, door: DoorProcess, intruder: _Listening
) -> None:
    await locks(hub).locks.pulse("door-1", "kari")
    recorded = await seen_command(intruder)
    await door.stop()
    intruder.publish(DOWN, recorded, retain=True)
    await door.start()

    async def is_reported() -> bool:
        return ("command_refused", "retained") in await reports(hub)

    await until_async(is_reported)
    assert door.pulses() == 1
    locks(hub).doors.clear_retained()
    await door.stop()
    before = len(door.lines("command_refused"))
    await door.start()
    await until(lambda: hub.devices.vitals("door-1").is_alive)
    assert len(door.lines("command_refused")) == before


async def test_a_forged_command_does_nothing_and_is_reported(hub: Hub, door: DoorProcess, intruder: _Listening) -> None:
    command = contract.Command(door="door-1", command=new_id(), verb="pulse", pulse_ms=4000, nonce="0" * 32, audit=1)
    intruder.publish(DOWN, contract.Signed.sign(command, SigningKey.generate(), "hub-1").encoded())

    async def is_reported() -> bool:
        return ("command_refused", "bad_signature") in await reports(hub)

    await until_async(is_reported)
    assert door.pulses() == 0


async def test_what_a_door_did_not_sign_is_not_believed(hub: Hub, door: DoorProcess, intruder: _Listening) -> None:
    states = await until(lambda: [one.payload for one in intruder.seen if one.topic.endswith("up/state")])
    intruder.publish(DOWN.replace("down/command", "up/state"), bytes(states[0]))
    await until(lambda: hub.devices.vitals("door-1").last_refusal == "state: played again")
    state = contract.State.model_validate_json(contract.Signed.model_validate_json(states[0]).content)
    forged = contract.Signed.sign(
        state.model_copy(update={"boot": 99, "lock": "locked"}), SigningKey.generate(), "door-1"
    )
    intruder.publish(DOWN.replace("down/command", "up/state"), forged.encoded())
    await until(lambda: (hub.devices.vitals("door-1").last_refusal or "").startswith("state: forged"))


async def test_a_hub_that_died_between_intent_and_outcome_says_unknown(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    async with running_hub(settings, tmp_path) as hub:
        await hub.enroller.enrol("door-1", "door", "Dør", "", "test")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(contract, "COMMAND_SECONDS", 0.2)
            await locks(hub).locks.pulse("door-1", "kari")
        await hub.store.write(
            lambda connection: connection.execute(update(command_table).values(outcome=None, ended_at=None))
        )
    async with running_hub(settings, tmp_path) as hub:

        async def is_ended() -> bool:
            return await outcomes(hub) == [("unknown", "hub_restarted")]

        await until_async(is_ended)


async def test_a_program_opens_a_door_as_a_person_does(hub: Hub, door: DoorProcess) -> None:
    """By the same exchange, under the token's name, once for one Idempotency-Key."""
    async with program(hub, "doors:open", "doors:read") as api:
        shown = await (await api.get("doors/door-1")).json()
        assert (shown["name"], shown["lock"], shown["is_alive"]) == ("Hovudinngang", "locked", True)
        for _ in range(2):
            answer = await api.post(
                "doors/door-1/pulse", json={"reason": "varelevering"}, headers={"Idempotency-Key": "ein"}
            )
            assert (answer.status, await answer.json()) == (200, {"result": "done"})
        assert door.pulses() == 1
        command = (await (await api.get("door-commands")).json())["items"][0]
        assert (command["actor"], command["reason"], command["outcome"]) == ("token:prøve", "varelevering", "done")
        assert (await api.post("doors/door-9/pulse", json={})).status == 404
    intent = next(one for one in await hub.store.read(audit.newest) if one.action == "door.intent")
    assert (intent.actor, intent.details and intent.details["reason"]) == ("token:prøve", "varelevering")
    async with browser(hub, "it") as it:
        assert (await it.post("doors/door-1/pulse", json={})).status == 403  # no permission has it
    assert door.pulses() == 1


async def test_a_command_asked_for_before_the_clock_was_set_back_ends(hub: Hub) -> None:
    row = {"id": "c1", "door": "door-1", "actor": "test", "reason": "", "asked_at": now() + timedelta(hours=1)}
    await hub.store.write(lambda connection: rows.intend(connection, row, Order("pulse", pulse_ms=1000)))

    async def has_ended() -> bool:
        found = await hub.store.read(rows.latest_commands)
        return [one.outcome for one in found] == ["unknown"]

    await until_async(has_ended)
