"""P4: 5 000 entities discovered, and after a restart; their memory; the hub when idle. Beside Home Assistant.

Discovery: from the first announcement sent until all are in the registry. Restart: from the start of the program until
all are there again, read from what the broker has kept, and the first new state has reached a listener.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from benchmarks import found_hub, home_assistant
from benchmarks.p1 import broker, fleet, until, warm

LARGE = 1667
ENTITIES = LARGE * 3 + 1
SETTLE_SECONDS = 3


class Running(Protocol):
    pid: int

    async def count(self) -> int: ...

    async def until_sentinel(self, is_reached: Callable[[float], bool]) -> float: ...


async def run(seconds: float) -> dict[str, float]:
    del seconds
    async with broker() as port, found_hub.folder(port, history=True) as (place, hub):
        found = await measured(port, lambda: found_hub.running(place, hub))
    if home_assistant.is_installed():
        async with broker() as port:
            with TemporaryDirectory(prefix="kommunevert-bench-ha-") as name:
                place = Path(name)
                peer = await measured(port, lambda: home_assistant.running(port, history=True, folder=place))
        found |= {f"Home Assistant, {name}": value for name, value in peer.items()}
    return found


async def measured(port: int, start: Callable[[], AbstractAsyncContextManager[Running]]) -> dict[str, float]:
    async with start():
        pass  # the first start makes tables, and keeps what it needed for that
    async with start() as hub:
        await asyncio.sleep(SETTLE_SECONDS)
        idle = memory_kb(hub.pid)
        counting = asyncio.create_task(_until_all(hub))
        began, _ = await fleet(port, "announce", LARGE)
        discovered = await counting - began
        await asyncio.sleep(SETTLE_SECONDS)
        grown = memory_kb(hub.pid)
    began = time.perf_counter()
    async with start() as hub:
        await until(hub.count, ENTITIES)
        await warm(port, hub.until_sentinel)
        ended = time.perf_counter()
    return {
        "5 001 entities discovered, s": discovered,
        "restart until all are there and one has changed, s": ended - began,
        "memory for each entity, KB": (grown - idle) / ENTITIES,
        "idle, MB": idle / 1024,
    }


async def _until_all(hub: Running) -> float:
    await until(hub.count, ENTITIES)
    return time.perf_counter()


def memory_kb(pid: int) -> int:
    """Of the program and its children; what they share counts once (proportional set size)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    total = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return total + sum(memory_kb(int(child)) for child in children)
