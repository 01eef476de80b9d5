"""What comes in by the wire is what was sent, with MQTT 5 properties and without: the two are read by different code."""

import asyncio

from devices.wire.connection import Address, Received, Wire
from hub.hub import Hub
from tests.conftest import until
from tests.patience import PATIENCE_SECONDS


async def test_messages_with_and_without_properties(hub: Hub) -> None:
    wire = hub.mqtt.wire
    assert wire is not None
    heard: list[Received] = []

    def take(received: Received) -> None:
        heard.append(received)
        wire.acknowledge(received)

    hub.mqtt._on_other_topic = take
    wire.subscribe("prøve/#")
    payloads = [b"", b"\x00\xff", "blåbærsyltetøy".encode(), b"x" * 30_000]
    for qos in (0, 1):
        for expiry in (None, 30):
            for payload in payloads:
                assert wire.publish("prøve/æ/ø", payload, qos=qos, expiry_seconds=expiry)
    await until(lambda: len(heard) == 16)
    assert [(one.topic, one.payload, one.qos) for one in heard] == [
        ("prøve/æ/ø", payload, qos) for qos in (0, 1) for _ in (None, 30) for payload in payloads
    ]
    numbers = [one.number for one in heard if one.qos]
    assert len(set(numbers)) == len(numbers), "each has a number of its own to acknowledge"

    for expiry in (None, 30):
        wire.publish(f"prøve/kept/{expiry}", b"kept", retain=True, expiry_seconds=expiry)
    await until(lambda: len(heard) == 18)
    heard.clear()
    wire.subscribe("prøve/kept/#")
    await until(lambda: len(heard) == 2)
    assert all(one.retained and one.payload == b"kept" for one in heard)


async def test_cancelled_while_a_connection_is_ending_it_ends() -> None:
    """It took the cancellation for that of its own keepalive, connected again, and nobody could stop it any more."""
    lines: list[asyncio.StreamWriter] = []

    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    wire = Wire(Address("127.0.0.1", server.sockets[0].getsockname()[1], "kiosk-1", "x"), on_message=lambda _: None)

    async def tick() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            running.cancel()  # while `run` waits for this task to end

    wire._tick = tick  # type: ignore[method-assign]
    running = asyncio.create_task(wire.run())
    try:
        done, _ = await asyncio.wait({running}, timeout=PATIENCE_SECONDS)
        assert done
        assert running.cancelled()
        assert len(lines) == 1
    finally:
        running.cancel()
        server.close()
