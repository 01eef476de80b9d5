"""What doors need of the wire: a goodbye that arrives, a quick second try, and callbacks that fail aloud."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from devices.wire.connection import Address, Received, Will, Wire
from tests.door.conftest import DOOR, ROOT, SECRETS, SITE
from tests.door.desk import Desk
from tests.door.door_process import DoorProcess
from tests.door.mosquitto import Mosquitto
from tests.patience import PATIENCE_SECONDS

TOPIC = f"{ROOT}/{SITE}/door/{DOOR}"


def wire(broker: Mosquitto, account: str, **more: object) -> Wire:
    more.setdefault("on_message", lambda _received: None)
    return Wire(Address("127.0.0.1", broker.port, account, SECRETS[account]), **more)


@asynccontextmanager
async def running(*wires: Wire) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in wires]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for one in wires:
                await one.until_connected()
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_clean_stop_says_what_was_written_last_and_no_will(broker: Mosquitto) -> None:
    """The client closes in the turn in which it writes DISCONNECT: what was buffered must get out."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    hub = wire(broker, "hub", on_message=lambda received: heard.put_nowait(received.payload))
    hub.subscribe(f"{TOPIC}/#", qos=0)
    async with running(hub):
        door = wire(broker, DOOR, will=Will(f"{TOPIC}/up/status", b"will"))
        async with running(door):
            door.publish(f"{TOPIC}/up/status", b"goodbye")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await heard.get() == b"goodbye"
        hub.publish(f"{TOPIC}/up/status", b"end")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await heard.get() == b"end"


async def test_a_refused_account_is_told_why_at_once(broker: Mosquitto) -> None:
    refused = Wire(Address("127.0.0.1", broker.port, DOOR, "wrong"), on_message=lambda _received: None)
    begun = time.monotonic()
    with capture_logs() as logs:
        task = asyncio.create_task(refused.run())
        while not [line for line in logs if line["event"] == "mqtt_disconnected"]:
            await asyncio.sleep(0.02)
            assert time.monotonic() - begun < PATIENCE_SECONDS
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert "Not authorized" in str(refused.problem)
    assert DOOR in str(refused.problem)


async def test_retained_as_published_shows_what_the_sender_wrote(broker: Mosquitto) -> None:
    heard: asyncio.Queue[Received] = asyncio.Queue()
    hub = wire(broker, "hub")
    door = wire(broker, DOOR, on_message=heard.put_nowait)
    door.subscribe(f"{TOPIC}/down/#", retain_as_published=True)
    async with running(door, hub):
        hub.publish(f"{TOPIC}/down/command", b"kept", retain=True)
        hub.publish(f"{TOPIC}/down/command", b"passing")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert [(await heard.get()).retained for _ in range(2)] == [True, False]


@pytest.mark.parametrize("callback", ["on_message", "on_ready"])
async def test_a_callback_that_fails_is_logged(broker: Mosquitto, callback: str) -> None:
    def fails(*_arguments: object) -> None:
        raise RuntimeError("broken")

    done = asyncio.Event()
    hub = wire(broker, "hub", on_message=lambda _received: done.set())
    hub.subscribe(f"{TOPIC}/up/#")
    broken = wire(broker, DOOR, **{callback: fails})
    broken.subscribe(f"{TOPIC}/down/#")
    with capture_logs() as logs:
        async with running(hub, broken):
            hub.publish(f"{TOPIC}/down/command", b"x")
            hub.publish(f"{TOPIC}/down/command", b"y")
            assert broken.publish(f"{TOPIC}/up/event", b"still here")
            async with asyncio.timeout(PATIENCE_SECONDS):
                await done.wait()
                while not [line for line in logs if line["log_level"] == "error"]:
                    await asyncio.sleep(0.01)


async def test_a_door_never_waits_long_in_an_outage_of_minutes(
    broker: Mosquitto, desk: Desk, door: DoorProcess
) -> None:
    """The waits doubled without end up to 30 s: after 13 s without a broker the door was away for up to 19 s more."""
    broker.stop()
    async with asyncio.timeout(60):
        while len(waits := [line["retry_seconds"] for line in door.lines("mqtt_disconnected")]) < 8:
            await asyncio.sleep(0.1)
    assert all(isinstance(wait, float) and wait <= 5 for wait in waits), waits
    desk.heard.clear()
    broker.start()
    await desk.until_ready()
