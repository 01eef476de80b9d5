"""P8: ten thousand devices are connected, the broker is killed, all come back at once; and what they cost in memory.

Kiosks, players and doors of the simulator in a process of their own, against the real program. Measured from the kill:
until each has said again that it is there (counted by the hub), what API requests took meanwhile, and whether every
visit that a kiosk got a receipt for is in the database.
"""

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.bench_hub import folder_with_devices, percentile, program
from hub.configuration.settings import Configuration
from hub.demo.simulate import make_plan
from hub.hub import Hub

DEVICES = int(os.environ.get("P8_DEVICES", "10000"))
PLAYERS, DOORS = DEVICES * 3 // 100, DEVICES * 2 // 100
KIOSKS = DEVICES - PLAYERS - DOORS
PACE, HOUR = 6.0, 10
"""A region's busiest hour, six times over: about 17 visits a second."""
ALL_BACK_SECONDS = 120.0
ASK_SECONDS = 0.05
STATUS = re.compile(r'^mqtt_received_total\{kind="\w+",what="status"\} (\S+)$', re.MULTILINE)


async def run(seconds: float) -> dict[str, float]:
    async with folder_with_devices([]) as (folder, hub, _):
        preparing = Hub(Configuration.read(folder / "kommunevert.yaml"))
        began = time.perf_counter()
        async with preparing.store_only():
            plan = await make_plan(preparing, {"kiosk": KIOSKS, "screen": PLAYERS, "door": DOORS})
            _, token = await preparing.tokens.make("bench", frozenset({"devices:read"}), "bench", None)
        enrolling = time.perf_counter() - began
        async with program(folder, hub) as process, fleet(plan) as devices:
            web = hub.settings.web.address.replace("localhost", "127.0.0.1")
            async with aiohttp.ClientSession(web, headers={"Authorization": f"Bearer {token}"}) as session:
                await until_all_connected(devices)
                await asyncio.sleep(max(seconds, 10.0))  # heartbeats of all, once at least
                memory = {"hub": resident(process.pid), "broker": resident(broker_pid(folder))}
                quiet = [await asked(session) for _ in range(50)]
                back, latencies = await storm(session, folder, seconds)
                await until_all_connected(devices)
                await asyncio.sleep(12)  # what waited is sent again within 10 s, and gets its receipt
        receipted = set((folder / "receipts").read_text().split())
        kept = visits_in(folder)
    lost = receipted - kept
    return {
        "devices": DEVICES,
        "enrolled and paired for the bench, s": enrolling,
        "all back after the broker's kill -9, s": back,
        "API p50 meanwhile, ms": percentile(latencies, 0.5) * 1000,
        "API p99 meanwhile, ms": percentile(latencies, 0.99) * 1000,
        "API slowest meanwhile, ms": max(latencies) * 1000,
        "API requests meanwhile": len(latencies),
        "API p50 before, ms": percentile(quiet, 0.5) * 1000,
        "visits with a receipt": len(receipted),
        "of them lost": len(lost),
        "hub, MB with all connected": memory["hub"],
        "broker, MB with all connected": memory["broker"],
        "hub and broker, MB": memory["hub"] + memory["broker"],
    }


async def storm(session: aiohttp.ClientSession, folder: Path, seconds: float) -> tuple[float, list[float]]:
    """Seconds until all are back, and of each API request from the kill until `seconds` after."""
    before = await statuses(session)
    latencies: list[float] = []

    async def ask() -> None:
        while True:
            latencies.append(await asked(session))
            await asyncio.sleep(ASK_SECONDS)

    asking = asyncio.create_task(ask())
    os.kill(broker_pid(folder), signal.SIGKILL)
    began = time.perf_counter()
    try:
        async with asyncio.timeout(ALL_BACK_SECONDS):
            while await statuses(session) - before < DEVICES:
                await asyncio.sleep(0.1)
        back = time.perf_counter() - began
        await asyncio.sleep(seconds)
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    return back, latencies


async def asked(session: aiohttp.ClientSession) -> float:
    began = time.perf_counter()
    async with session.get("/api/v1/devices?limit=50") as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
    return time.perf_counter() - began


async def statuses(session: aiohttp.ClientSession) -> float:
    """How often devices have said that they are there."""
    async with session.get("/metrics") as answer:
        return sum(float(found) for found in STATUS.findall(await answer.text()))


@asynccontextmanager
async def fleet(plan: Path, pace: float = PACE) -> AsyncIterator[asyncio.subprocess.Process]:
    folder = plan.parents[2]
    with (folder / "fleet.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "devices.simulator", plan, "--exit-with-parent", "--no-away", "--every", "0.5"),
            *("--pace", str(pace), "--hour", str(HOUR), "--receipts", folder / "receipts"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        yield process
    finally:
        assert process.stdin
        process.stdin.close()
        await process.communicate()


async def until_all_connected(process: asyncio.subprocess.Process) -> None:
    assert process.stdout
    async with asyncio.timeout(300):
        figures: dict[str, Any] = {"connected": -1, "connections": 0}
        while figures["connected"] != figures["connections"]:
            figures = json.loads(await process.stdout.readline())


def broker_pid(folder: Path) -> int:
    return int((folder / "data" / "broker" / "mosquitto.pid").read_text())


def resident(pid: int) -> float:
    """MB."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1000


def visits_in(folder: Path) -> set[str]:
    with sqlite3.connect(folder / "data" / "kommunevert.db") as database:
        found = {row[0] for row in database.execute("SELECT id FROM checkin_visit")}
    database.close()
    return found
