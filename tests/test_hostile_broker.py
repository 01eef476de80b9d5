"""A broker that lies, between the real hub and the real controller: it repeats, holds back, forges, and retains.

The controller is connected to a broker of its own; `Between` carries messages from one to the other as it likes.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nacl.signing import SigningKey
from sqlalchemy import select

from devices.access.credentials import fingerprint
from devices.contract import door as contract
from devices.contract.enrolment import Enrolment
from devices.contract.payload import new_id
from devices.wire.connection import Address, Received, Wire
from hub.broker.accounts import mosquitto_hash
from hub.hub import Hub
from hub.store.store import now
from plugins.locks.rules import rows as access_rows
from plugins.locks.store.tables import command as command_table
from plugins.locks.store.tables import event as event_table
from tests.conftest import settled, until, until_async
from tests.door.door_process import DoorProcess
from tests.door.mosquitto import Mosquitto
from tests.patience import PATIENCE_SECONDS
from tests.test_access import CARD, LOST, everywhere, locks, person

DOOR = "kommunevert/test/door/door-1"
RIGHTS = "user evil\ntopic readwrite #\n\nuser door-1\ntopic write kommunevert/#\ntopic read kommunevert/#\n"


@dataclass(frozen=True)
class Message:
    """On its way. `what` is the topic below the door's branch, such as down/command."""

    what: str
    payload: bytes
    retained: bool = False


Rule = Callable[[Message], list[Message]]


def honest(message: Message) -> list[Message]:
    return [message]


class Between:
    """`rule` says what becomes of each message; `passed` is all that came, as it came."""

    def __init__(self, at_hub: Address, at_door: Address) -> None:
        self.rule: Rule = honest
        self.passed: list[Message] = []
        self.at_door = at_door
        self._to_hub = Wire(at_hub, on_message=self._from_hub)
        self._to_door = Wire(at_door, on_message=self._from_door)
        self._to_hub.subscribe(f"{DOOR}/down/#", 1, retain_as_published=True)
        self._to_door.subscribe(f"{DOOR}/up/#", 1, retain_as_published=True)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._to_hub.run())
            group.create_task(self._to_door.run())

    async def until_connected(self) -> None:
        await self._to_door.until_connected()
        await self._to_hub.until_connected()

    def send(self, message: Message) -> None:
        wire = self._to_door if message.what.startswith("down/") else self._to_hub
        wire.publish(f"{DOOR}/{message.what}", message.payload, retain=message.retained)

    def all(self, what: str) -> list[Message]:
        return [one for one in self.passed if one.what == what]

    def _from_hub(self, received: Received) -> None:
        self._take(self._to_hub, received)

    def _from_door(self, received: Received) -> None:
        self._take(self._to_door, received)

    def _take(self, wire: Wire, received: Received) -> None:
        wire.acknowledge(received)
        message = Message(received.topic.removeprefix(DOOR + "/"), received.payload, received.retained)
        self.passed.append(message)
        for one in self.rule(message):
            self.send(one)


@pytest_asyncio.fixture
async def enrolments(hub: Hub) -> dict[str, Enrolment]:
    """Before there is a second account with all rights: the hub writes its accounts anew."""
    return {name: await hub.enroller.enrol(name, "door", name, "", "test") for name in ("door-1", "door-2")}


@pytest_asyncio.fixture
async def evil(hub: Hub, enrolments: dict[str, Enrolment], tmp_path: Path) -> AsyncIterator[Between]:
    assert hub.broker is not None
    folder = hub.settings.data / "broker"
    (folder / "passwords").write_text((folder / "passwords").read_text() + f"evil:{mosquitto_hash('evil')}\n")
    (folder / "acl").write_text((folder / "acl").read_text() + "\nuser evil\ntopic readwrite #\n")
    os.kill(int((folder / "mosquitto.pid").read_text()), signal.SIGHUP)
    (tmp_path / "evil").mkdir()
    own = Mosquitto(tmp_path / "evil", {"evil": "evil", "door-1": "door"}, RIGHTS)
    own.start()
    between = Between(*(Address("127.0.0.1", port, "evil", "evil") for port in (enrolments["door-1"].port, own.port)))
    running = asyncio.create_task(between.run())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await between.until_connected()
        yield between
    finally:
        running.cancel()
        await asyncio.wait({running})
        own.stop()


@pytest_asyncio.fixture
async def door(hub: Hub, evil: Between, enrolments: dict[str, Enrolment], tmp_path: Path) -> AsyncIterator[DoorProcess]:
    """At the evil broker, with Kari's card in its list."""
    access = locks(hub).access
    elsewhere = enrolments["door-1"].model_copy(update={"port": evil.at_door.port, "secret": "door"})
    (tmp_path / "door").mkdir()
    process = DoorProcess(tmp_path / "door", elsewhere)
    await until(lambda: access.rule_book.units)
    await access.save_rule(everywhere(), "kari")
    await access.add_card(fingerprint(access.key, CARD), person(hub, "Kari"), "blått kort", "kari")
    await process.start()

    async def has_the_newest() -> bool:
        newest = (await hub.store.read(access_rows.lists)).get("door-1")
        return (
            newest is not None and newest.has_payload and locks(hub).states.of("door-1").list_version == newest.version
        )

    await until_async(has_the_newest)
    await settled(hub)
    yield process
    await process.stop()


async def rows(hub: Hub, table: Any) -> list[Any]:
    return await hub.store.read(lambda connection: list(connection.execute(select(table))))


async def refused(hub: Hub, why: str) -> None:
    """The door has said so, and the hub has kept it."""

    async def is_told() -> bool:
        return any((one.kind, one.reason) == ("command_refused", why) for one in await rows(hub, event_table))

    await until_async(is_told, 15)


async def test_everything_twice_and_all_of_it_again_later(hub: Hub, evil: Between, door: DoorProcess) -> None:
    evil.rule = lambda message: [message, message]
    assert await locks(hub).locks.pulse("door-1", "kari") == "done"
    door.say(f"show {CARD}")
    await until(lambda: door.pulses() == 2)

    async def are_ended() -> bool:
        return [one.outcome for one in await rows(hub, command_table)] == ["done", "done"]

    await until_async(are_ended)
    for message in list(evil.passed):
        evil.send(Message(message.what, message.payload))
    await refused(hub, "replayed")
    assert await locks(hub).locks.pulse("door-1", "kari") == "done"
    assert door.pulses() == 3
    assert len(await rows(hub, command_table)) == 3
    numbers = [one.id for one in await rows(hub, event_table)]
    assert len(numbers) == len(set(numbers))
    assert not hub.host.plugins["locks"].failures


async def test_a_command_that_was_held_back_opens_nothing(
    hub: Hub, evil: Between, door: DoorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.locks.operating.service.OUTCOME_SECONDS", 1.0)
    evil.rule = lambda message: [] if message.what == "down/command" else [message]
    assert await locks(hub).locks.pulse("door-1", "kari") == "unknown"
    await asyncio.sleep(contract.COMMAND_SECONDS)  # what is tested is that this time is too long
    (held,) = evil.all("down/command")
    evil.send(held)
    await refused(hub, "late")
    evil.send(held)
    await refused(hub, "no_challenge")
    assert door.pulses() == 0


async def test_an_answer_that_comes_after_the_door_decided_opens_nothing(
    hub: Hub, evil: Between, door: DoorProcess
) -> None:
    """The card is not in the door's list yet, and the hub says yes, but too late: turned away it is."""
    evil.rule = lambda message: [] if message.what in ("down/list", "down/command") else [message]
    await locks(hub).access.add_card(fingerprint(locks(hub).access.key, LOST), None, "nytt kort", "kari")
    number = locks(hub).access.rule_book.rules[0].id  # type: ignore[index]
    card = next(one for one in locks(hub).access.rule_book.credentials if one.label == "nytt kort")
    rule = everywhere(id=number)
    allowed = rule.model_copy(update={"who": rule.who.model_copy(update={"credentials": (card.ref,)})})
    await locks(hub).access.save_rule(allowed, "kari")
    door.say(f"show {LOST}")
    await until(lambda: evil.all("down/command"))
    await until(lambda: "denied" in [one["signal"] for one in door.lines("reader_signal")])
    evil.rule = honest
    evil.send(evil.all("down/command")[-1])
    await refused(hub, "no_challenge")
    assert door.pulses() == 0


def forgeries(message: Message) -> list[Message]:
    """One bit of the content or the signature is another, or the key is, or the key's name."""
    signed = contract.Signed.model_validate_json(message.payload)
    content, signature = bytearray(signed.content), bytearray(signed.signature)
    content[len(content) // 2] ^= 1
    signature[7] ^= 1
    made = [
        contract.Signed.carrying(bytes(content), signed.signature, signed.key),
        contract.Signed.carrying(signed.content, bytes(signature), signed.key),
        contract.Signed.sign_content(signed.content, SigningKey.generate(), signed.key),
        contract.Signed.carrying(signed.content, signed.signature, "hub-2"),
    ]
    return [Message(message.what, one.encoded()) for one in made]


async def test_a_forged_command_opens_nothing_and_spends_nothing(hub: Hub, evil: Between, door: DoorProcess) -> None:
    evil.rule = lambda message: forgeries(message) if message.what == "down/command" else [message]
    telling = asyncio.create_task(locks(hub).locks.pulse("door-1", "kari"))
    await until(lambda: len(door.lines("command_refused")) >= 4)
    assert door.pulses() == 0
    evil.send(evil.all("down/command")[-1])  # the true one is still good
    assert await telling == "done"
    assert door.pulses() == 1
    await refused(hub, "bad_signature")


async def test_a_forged_list_is_not_taken(hub: Hub, evil: Between, door: DoorProcess) -> None:
    evil.rule = lambda message: [] if message.what == "down/list" else [message]
    before, lists = locks(hub).states.of("door-1").list_version, len(evil.all("down/list"))
    access = locks(hub).access
    await access.add_card(fingerprint(access.key, LOST), person(hub, "Kari"), "nytt kort", "kari")
    await until(lambda: len(evil.all("down/list")) > lists)
    true = evil.all("down/list")[-1]
    for number, forged in enumerate(forgeries(true), 1):
        evil.send(forged)
        await until(lambda number=number: len(door.lines("list_refused")) == number)
    assert locks(hub).states.of("door-1").list_version == before
    evil.send(true)
    await until(lambda: locks(hub).states.of("door-1").list_version > before)


async def test_an_old_list_is_not_taken_again(hub: Hub, evil: Between, door: DoorProcess) -> None:
    """With the card that was lost meanwhile. It lies there for every new start too."""
    old = evil.all("down/list")[-1]
    (card,) = locks(hub).access.rule_book.credentials
    await locks(hub).access.end_credential(card.ref, "lost", "vakt")
    await until(lambda: evil.all("down/list")[-1] != old)
    version = (await hub.store.read(access_rows.lists))["door-1"].version
    await until(lambda: locks(hub).states.of("door-1").list_version == version)
    evil.send(Message(old.what, old.payload, retained=True))
    await until(lambda: door.lines("list_refused"))
    await door.stop()
    await door.start()
    evil.rule = lambda message: [] if message.what.startswith("down/") else [message]  # and it must decide alone
    await until(lambda: len(door.lines("list_refused")) > 1)
    door.say(f"show {CARD}")
    await until(lambda: "denied" in [one["signal"] for one in door.lines("reader_signal")])
    assert door.pulses() == 0
    assert locks(hub).states.of("door-1").list_version == version


async def test_what_was_shown_yesterday_is_answered_no_more_and_hurts_nobody(
    hub: Hub, evil: Between, door: DoorProcess
) -> None:
    """Also by a hub that was started meanwhile and remembers no message: the store does."""
    door.say(f"show {CARD}")
    await until(lambda: door.pulses() == 1)
    (shown,) = evil.all("up/shown")
    locks(hub).access_requests._seen.clear()
    commands = len(evil.all("down/command"))
    evil.send(shown)
    assert await locks(hub).locks.pulse("door-1", "kari") == "done"
    assert len(await rows(hub, command_table)) == 2
    assert len(evil.all("down/command")) == commands + 1
    assert door.pulses() == 2
    assert not hub.host.plugins["locks"].failures


async def test_what_another_door_says_is_not_this_doors(
    hub: Hub, evil: Between, door: DoorProcess, enrolments: dict[str, Enrolment]
) -> None:
    """A thief with a controller of another door."""
    key = SigningKey(bytes.fromhex(enrolments["door-2"].device_key or ""))
    state = contract.State(door="door-1", boot=99, seq=1, lock="unlocked", contact="open", sent_at=now())
    evil.send(Message("up/state", contract.Signed.sign(state, key, "door-1").encoded()))
    evil.send(Message("up/state", contract.Signed.sign(state, key, "door-2").encoded()))
    evil.send(Message("up/outcome", contract.Signed.sign(outcome(), key, "door-1").encoded()))
    assert await locks(hub).locks.pulse("door-1", "kari") == "done"
    assert hub.devices.vitals("door-1").last_refusal
    assert locks(hub).states.of("door-1").contact != "open"


def outcome() -> contract.Outcome:
    return contract.Outcome(
        door="door-1", command=new_id(), result="done", lock="unlocked", contact="open", boot=99, seq=2
    )
