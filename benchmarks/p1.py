"""P1: state updates of found devices until the registry, the history and a live listener have them.

QoS 0, 200 bytes of JSON, a template; as fast as the load generator can. Beside it, under the same load in the same run: Home
Assistant, with its recorder and without, and a bare paho client that counts (the limit).
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import found_hub, home_assistant
from hub.demo.town_hall import free_ports

DEVICES = 334
WARM_UP = DEVICES * 3 * 10
"""Whole rounds, an even number: every update after it is a change."""
FIRST = 1_000_000
OUR_COUNT = 100_000
PEER_COUNT = 10_000


async def run(seconds: float) -> dict[str, float]:
    del seconds  # a fixed amount, until all of it is there
    found: dict[str, float] = {}
    async with broker() as port:
        await fleet(port, "announce", DEVICES)
        for name, history in (("history on", True), ("history off", False)):
            async with found_hub.folder(port, history=history) as (place, hub), found_hub.running(place, hub) as ours:
                await until(ours.count, DEVICES * 3 + 1)
                await warm(port, ours.until_sentinel)
                await fleet(port, "states", DEVICES, WARM_UP, 0, FIRST)
                began, ended = await updates(port, ours.until_sentinel, OUR_COUNT)
                if history:
                    await until(lambda place=place: found_hub.history_rows(place), OUR_COUNT + WARM_UP)
                    ended = max(ended, time.perf_counter() - 0.05)
                found[f"updates/s, {name}"] = OUR_COUNT / (ended - began)
        found["limit: bare paho callback, messages/s"] = await bare_paho(port)
        if home_assistant.is_installed():
            for name, history in (("history on", True), ("history off", False)):
                async with home_assistant.running(port, history=history) as peer:
                    await until(peer.count, DEVICES * 3 + 1)
                    await warm(port, peer.until_sentinel)
                    began, ended = await updates(port, peer.until_sentinel, PEER_COUNT)
                    found[f"Home Assistant, {name}, updates/s"] = PEER_COUNT / (ended - began)
                found[f"times Home Assistant, {name}"] = (
                    found[f"updates/s, {name}"] / found[f"Home Assistant, {name}, updates/s"]
                )
    found["share of bare paho, history on"] = (
        found["updates/s, history on"] / found["limit: bare paho callback, messages/s"]
    )
    return found


async def warm(port: int, until_sentinel: Callable[[Callable[[float], bool]], Awaitable[float]]) -> None:
    """Until it hears states: a hub knows entities a little before it listens for them."""
    for attempt in range(1, 60):
        listener = asyncio.create_task(until_sentinel(lambda value: value >= 1))
        await fleet(port, "states", 1, attempt, 0, 0)
        done, _ = await asyncio.wait({listener}, timeout=1)
        if done:
            return
        listener.cancel()
        await asyncio.wait({listener})
    raise TimeoutError("it never heard a state")


async def updates(
    port: int, until_sentinel: Callable[[Callable[[float], bool]], Awaitable[float]], count: int
) -> tuple[float, float]:
    """When the first was sent, and when the listener had the last."""
    first = FIRST * 2
    listener = asyncio.create_task(until_sentinel(lambda value: value == first + count))
    began, _ = await fleet(port, "states", DEVICES, count, 0, first)
    async with asyncio.timeout(120):
        return began, await listener


async def bare_paho(port: int) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.paho_count", str(port), str(OUR_COUNT), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    await process.stdout.readline()
    began, _ = await fleet(port, "states", DEVICES, OUR_COUNT, 0, FIRST)
    ended = float(await process.stdout.readline())
    await process.wait()
    return OUR_COUNT / (ended - began)


async def fleet(port: int, *work: object) -> list[float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.found_fleet", str(port), *map(str, work), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    times: list[float] = json.loads(told)
    return times


async def until(count: Callable[[], Awaitable[int]], wanted: int) -> None:
    async with asyncio.timeout(120):
        while (await count()) < wanted:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def broker() -> AsyncIterator[int]:
    """A plain Mosquitto for all who take part. QoS 0 waits for slow ones instead of being dropped."""
    port = free_ports({"mqtt": None})["mqtt"]
    with TemporaryDirectory(prefix="kommunevert-bench-") as name:
        path = Path(name) / "mosquitto.conf"
        lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true", "max_queued_messages 0"]
        path.write_text("\n".join(lines) + "\n")
        process = await asyncio.create_subprocess_exec(
            "/usr/sbin/mosquitto", "-c", path, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await _until_open(port)
            yield port
        finally:
            process.terminate()
            await process.wait()


async def _until_open(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
