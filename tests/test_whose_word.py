"""What a device says is about what is its own: another's command, pass, list and visit stay as they are."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from sqlalchemy import select

from devices.contract import door as contract
from devices.contract import kiosk
from devices.contract.alive import Heartbeat
from devices.wire.connection import Received
from hub.devices.mqtt import refused_total
from hub.devices.registry import Place
from hub.hub import Hub
from hub.store.store import now
from plugins.locks.store.tables import command as command_table
from tests.conftest import settled, until
from tests.door_client import DoorClient
from tests.kiosk_client import KioskClient
from tests.patience import PATIENCE_SECONDS
from tests.test_access import CARD, everywhere, locks, person


async def two_doors(hub: Hub, stack: AsyncExitStack) -> tuple[DoorClient, DoorClient]:
    doors = []
    for name in ("door-1", "door-2"):
        client = DoorClient(await hub.enroller.enrol(name, "door", name, Place(zone="Inngang"), "test"))
        await stack.enter_async_context(client.connected())
        await client.list_with(lambda one: one.access.version >= 1)
        doors.append(client)
    return doors[0], doors[1]


async def rows(hub: Hub) -> list[tuple[str, str | None]]:
    query = select(command_table.c.door, command_table.c.outcome)
    return [tuple(row) for row in await hub.store.read(lambda connection: connection.execute(query).all())]


async def test_a_door_answers_for_itself_only(hub: Hub) -> None:
    """It learns another's command in some way: neither its challenge nor its outcome counts."""
    async with AsyncExitStack() as stack:
        first, second = await two_doors(hub, stack)
        asked: list[str] = []
        take = first._take

        def hears(received: object) -> None:
            topic, payload = received.topic, received.payload  # type: ignore[attr-defined]
            if topic.endswith("/down/challenge") and payload:
                asked.append(contract.ChallengeRequest.model_validate_json(payload).command)
            take(received)  # type: ignore[arg-type]

        first.wire._on_message = hears  # type: ignore[assignment]
        telling = asyncio.create_task(locks(hub).locks.pulse("door-1", "kari"))
        await until(lambda: asked)
        second._say("challenge", contract.Challenge(door="door-2", command=asked[0], nonce="0" * 32))
        second.outcome(asked[0])
        await second.receipt_of(asked[0])  # it need not say so again
        assert await rows(hub) == [("door-1", None)]
        assert not telling.done()
        assert second.commands == first.commands == {}
        first._say("challenge", contract.Challenge(door="door-1", command=asked[0], nonce="1" * 32))
        await until(lambda: asked[0] in first.commands)
        first.outcome(asked[0])
        assert await telling == "done"
        assert await rows(hub) == [("door-1", "done")]


async def test_a_door_uses_up_no_pass_of_another(hub: Hub) -> None:
    async with AsyncExitStack() as stack:
        first, second = await two_doors(hub, stack)
        passes = locks(hub).passes
        made, text = await passes.make(
            "gjest", ["door-1"], now() - timedelta(minutes=1), now() + timedelta(hours=1), "kari", once=True
        )
        await second.receipt_of(second.event(1, "granted", visit_pass=made.id))
        await settled(hub)
        assert (await first.show(code=text)).verb == "pulse"


async def test_a_door_that_is_ahead_gets_a_newer_list_at_once(hub: Hub) -> None:
    """As after an older database was put back."""
    async with AsyncExitStack() as stack:
        first, _ = await two_doors(hub, stack)
        await locks(hub).access.save_rule(everywhere(), "kari")
        await locks(hub).access.add_card(first.fingerprint(CARD), person(hub, "Kari"), "", "kari")
        await first.list_with(lambda one: len(one.roll()) == 1)
        first.state(list_version=40)
        async with asyncio.timeout(PATIENCE_SECONDS):
            newest = await first.list_with(lambda one: one.access.version > 40)
        assert len(newest.roll()) == 1
        first.state(list_version=0, list_newest=60)  # its list was damaged, and it takes none that is older
        async with asyncio.timeout(PATIENCE_SECONDS):
            await first.list_with(lambda one: one.access.version > 60)


async def test_a_kiosk_gets_no_receipt_for_anothers_visit(hub: Hub) -> None:
    """It would say "registered" of a visitor who is in no list."""
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                KioskClient(await hub.enroller.enrol(name, "kiosk", name, "1. etasje", "test")).connected()
            )
            for name in ("kiosk-1", "kiosk-2")
        ]
        host = (await first.search("kari")).hosts[0].id
        theirs = await first.register(host)
        other = await second.register(host, "Nokon Annan", visit_id=theirs.of)
        assert (other.result, other.number) == ("refused", None)
        assert (await first.register(host, visit_id=theirs.of)).number == theirs.number
        first.say("checkout", kiosk.CheckOut(id="one", number=theirs.number or "", left_at=now()))
        await until(lambda: first.receipts("one"))
        again = await second.register(host, "Nokon Annan")
        second.say("checkout", kiosk.CheckOut(id="one", number=again.number or "", left_at=now()))
        await until(lambda: second.receipts("one"))
        assert await hub.host.plugins["checkin"].instance.visits.count_inside() == 0


async def test_a_device_on_another_kinds_branch_is_nobody(hub: Hub) -> None:
    """Whatever a broker of somebody else's lets through: neither a sign of life nor a message."""
    await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "1. etasje", "test")
    beat = Heartbeat(sent_at=now(), version="1", uptime_seconds=1).encoded()
    event = contract.Event(id="one", door="kiosk-1", n=1, kind="forced_open", happened_at=now()).encoded()
    refused = refused_total.labels("kiosk", "unknown device")._value
    before = refused.get()
    for what, payload in (("heartbeat", beat), ("event", event)):
        topic = f"{hub.settings.root}/test/door/kiosk-1/up/{what}"
        hub.mqtt.on_message(Received(topic, payload, qos=0, retained=False, number=0, connection=0))
    assert refused.get() - before == 2
    assert not hub.mqtt._tasks
    vitals = hub.devices.vitals("kiosk-1")
    assert (vitals.heartbeat, vitals.last_seen_monotonic) == (None, None)
