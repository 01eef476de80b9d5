"""P3, as far as doors reach today: a command on the hub → the door's signed answer, by the full exchange of D2.

Quiet, and while other devices send 1 000 messages a second. The exchange is two round trips, two durable commits and
four signatures; the limit beside it is one bare round trip of the same wiring through the same broker. The card at the
door, with 10 000 credentials, comes with the access rules.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.bench_hub import folder_with_devices, percentile
from devices.contract.enrolment import Enrolment
from devices.contract.topics import branch
from devices.wire.connection import Received
from hub.hub import Hub

OTHERS = 50
RATE = 1000
PAUSE_SECONDS = 0.02


async def run(seconds: float) -> dict[str, float]:
    devices = [("door-1", "door"), ("kiosk-echo", "kiosk"), *((f"kiosk-{n}", "kiosk") for n in range(OTHERS))]
    async with folder_with_devices(devices) as (folder, hub, enrolments):
        path = folder / "door-1.json"
        path.write_bytes(enrolments[0].encoded())
        async with hub.running(), door(str(path), str(folder / "door")):
            plugin = hub.host.plugins["locks"].instance
            async with asyncio.timeout(20):
                while plugin.states.of("door-1").lock != "locked":
                    await asyncio.sleep(0.02)
            bare = await bare_round_trips(hub, enrolments[1], seconds / 2)
            quiet = await pulses(plugin.locks, seconds)
            async with flooding(RATE, enrolments[2:]):
                loaded = await pulses(plugin.locks, seconds)
    return {
        "command to signed outcome, quiet, p50 ms": percentile(quiet, 0.5) * 1000,
        "command to signed outcome, quiet, p99 ms": percentile(quiet, 0.99) * 1000,
        "same under 1 000 other messages/s, p50 ms": percentile(loaded, 0.5) * 1000,
        "same under 1 000 other messages/s, p99 ms": percentile(loaded, 0.99) * 1000,
        "limit: bare round trip, p50 ms": percentile(bare, 0.5) * 1000,
        "limit: bare round trip, p99 ms": percentile(bare, 0.99) * 1000,
        "ratio p99 quiet to bare p99": percentile(quiet, 0.99) / percentile(bare, 0.99),
    }


@asynccontextmanager
async def door(enrolment: str, state: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devices.door", enrolment, "--simulate", "--state", state, "--exit-with-parent",
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def pulses(locks: object, seconds: float) -> list[float]:
    taken = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        assert await locks.pulse("door-1", "bench") == "done"  # type: ignore[attr-defined]
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE_SECONDS)
    return taken


async def bare_round_trips(hub: Hub, enrolment: Enrolment, seconds: float) -> list[float]:
    """There and back over the same broker between this process and one that echoes, QoS 1, nothing else done."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.wire_echo", str(enrolment.port), enrolment.device, enrolment.secret,
        branch(enrolment.root, enrolment.site, enrolment.kind, enrolment.device), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert hub.broker
    assert hub.mqtt.wire
    await process.stdout.readline()
    mine = branch(enrolment.root, enrolment.site, enrolment.kind, enrolment.device)
    heard = asyncio.Event()
    take = hub.mqtt.wire._on_message

    def spy(received: Received) -> None:
        if received.topic == f"{mine}/up/echo":
            hub.mqtt.wire.acknowledge(received)  # type: ignore[union-attr]
            heard.set()
        else:
            take(received)

    hub.mqtt.wire._on_message = spy
    taken = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        heard.clear()
        began = time.perf_counter()
        hub.mqtt.wire.publish(f"{mine}/down/echo", b"x" * 200)
        await heard.wait()
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE_SECONDS)
    hub.mqtt.wire._on_message = take
    process.terminate()
    await process.wait()
    return taken


@asynccontextmanager
async def flooding(rate: int, enrolments: list[Enrolment]) -> AsyncIterator[None]:
    """Heartbeats of these devices, so many a second, from a process of their own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.updates", str(rate), *(f"{one.port}|{one.device}|{one.secret}|{branch(one.root, one.site, one.kind, one.device)}" for one in enrolments),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    await process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        await process.wait()
