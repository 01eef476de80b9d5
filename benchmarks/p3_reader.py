"""P3 at the reader: a card shown → the relay moves, by the hub's answer; and a lost card gone from 200 doors' lists.

10 000 employees with a card each, 200 doors that all of them may pass, history on. One door is the real controller,
timed from outside it: a line on its standard input shows a card, and its log carries the time at which the relay moved
(read later: this process is the hub, and busy with the outcome then). The others take lists and check their signatures. Beside it: a bare round trip of the same wiring in the same run, and the same
lists sent again.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random
from typing import Any

from sqlalchemy import insert

from benchmarks.bench_hub import folder_with_devices, percentile
from benchmarks.p3 import OTHERS, RATE, bare_round_trips, flooding
from devices.access.credentials import card
from devices.contract.enrolment import Enrolment
from devices.contract.topics import branch
from hub.cli import memory
from hub.hooks.limits import Limiter
from hub.hub import Hub
from plugins.locks.models import AccessRule, Where, Who
from plugins.locks.rules import rows as access_rows
from plugins.locks.rules.access import _credential
from plugins.locks.store.tables import credential as credential_table

EMPLOYEES = 10_000
DOORS = 200
PAUSE_SECONDS = 0.03
CHANGES = 3
WARM_SECONDS = 1.0
"""The first statements of each kind are put together then; a hub has passed that long before the morning."""


async def run(seconds: float) -> dict[str, float]:
    doors = [(f"door-{n}", "door") for n in range(DOORS)]
    devices = [*doors, ("kiosk-echo", "kiosk"), *((f"kiosk-{n}", "kiosk") for n in range(OTHERS))]
    async with folder_with_devices(devices) as (folder, hub, enrolments):
        (folder / "people.ldif").write_text("\n".join(map(employee, range(EMPLOYEES))))
        path = folder / "door-0.json"
        path.write_bytes(enrolments[0].encoded())
        async with hub.running():
            plugin = hub.host.plugins["locks"].instance
            plugin.access_requests._limit = Limiter(1_000_000, 60)  # else a door is asked no more than twice a second
            await everybody_has_a_card(hub)
            async with list_doors(hub, enrolments[1:DOORS]) as lists, reader(str(path), str(folder / "door")) as door:
                await lists.until_all_have_heard(since=0)
                await until(lambda: plugin.states.of("door-0").list_version > 0)
                memory.settle()  # as `kommunevert run` does when it is ready
                bare = await bare_round_trips(hub, enrolments[DOORS], seconds / 2)
                await shown(door, WARM_SECONDS)
                quiet = await shown(door, seconds)
                async with flooding(RATE, enrolments[DOORS + 1 :]):
                    loaded = await shown(door, seconds)
                taken = [await lost(hub, lists, door) for _ in range(CHANGES)]
                limit = await sent_again(hub, lists)
                (_, payload) = await hub.store.read(lambda connection: access_rows.payload(connection, "door-1")) or (
                    0,
                    b"",
                )
    return {
        "card to relay, quiet, p50 ms": percentile(quiet, 0.5) * 1000,
        "card to relay, quiet, p99 ms": percentile(quiet, 0.99) * 1000,
        "same under 1 000 other messages/s, p50 ms": percentile(loaded, 0.5) * 1000,
        "same under 1 000 other messages/s, p99 ms": percentile(loaded, 0.99) * 1000,
        "limit: bare round trip, p50 ms": percentile(bare, 0.5) * 1000,
        "limit: bare round trip, p99 ms": percentile(bare, 0.99) * 1000,
        "ratio p99 quiet to bare p99": percentile(quiet, 0.99) / percentile(bare, 0.99),
        "lost card → list at the median door, s": percentile([one.median for one in taken], 0.5),
        "lost card → list at the last of 200 doors, s": percentile([one.last for one in taken], 0.5),
        "lost card → in use at the real door, s": percentile([one.in_use for one in taken], 0.5),
        "limit: the same lists sent again, s": limit,
        "one list, KB": len(payload) / 1000,
    }


def employee(number: int) -> str:
    return (
        f"dn: uid=e{number},dc=test\nobjectClass: inetOrgPerson\nuid: e{number}\ncn: Tilsett {number}\nsn: {number}\n"
        f"ou: Eining {number % 50}\nmail: e{number}@x.example\n"
    )


async def everybody_has_a_card(hub: Hub) -> None:
    access = hub.host.plugins["locks"].instance.access
    await until(lambda: len(access.rule_book.units) == EMPLOYEES, 60)
    rows = [
        vars(_credential("card", access.card_fingerprint(26, 12, number), person, ""))
        for number, person in enumerate(access.rule_book.units)
    ]
    await hub.store.write(lambda connection: connection.execute(insert(credential_table), rows))
    rule = AccessRule(name="Alle", who=Who(everybody=True), where=Where(everywhere=True))
    await access.save_rule(rule, "bench")


async def until(condition: Any, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


# -- the real door


class Reader:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._random = Random(3)

    async def show(self, number: int) -> float:
        """Seconds until the relay moved."""
        assert self._process.stdin
        began = time.time()
        self._process.stdin.write(f"show {card(26, 12, number)}\n".encode())
        return await self.says("relay_pulsed") - began

    async def somebody(self) -> float:
        return await self.show(self._random.randrange(EMPLOYEES // 2, EMPLOYEES))

    async def says(self, event: str) -> float:
        """When it did, by this machine's clock."""
        assert self._process.stderr
        async with asyncio.timeout(30):
            while (line := json.loads(await self._process.stderr.readline()))["event"] != event:
                pass
        return datetime.fromisoformat(line["timestamp"]).timestamp()


@asynccontextmanager
async def reader(enrolment: str, state: str) -> AsyncIterator[Reader]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devices.door", enrolment, "--simulate", "--state", state, "--exit-with-parent",
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Reader(process)
    finally:
        process.terminate()
        await process.communicate()


async def shown(door: Reader, seconds: float) -> list[float]:
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        taken.append(await door.somebody())
        await asyncio.sleep(PAUSE_SECONDS)
    return taken


# -- lists


class Lists:
    def __init__(self, process: asyncio.subprocess.Process, doors: int) -> None:
        self.heard: dict[int, float] = {}
        self._process = process
        self._doors = doors

    async def read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            number, at = line.split()
            self.heard[int(number)] = float(at)

    async def until_all_have_heard(self, since: float) -> list[float]:
        """When each got one after `since`."""
        await until(lambda: sum(at > since for at in self.heard.values()) == self._doors, 60)
        return sorted(self.heard.values())


@asynccontextmanager
async def list_doors(hub: Hub, enrolments: list[Enrolment]) -> AsyncIterator[Lists]:
    signs = await hub.host.plugins["locks"].instance.hub_keys.current()
    accounts = [f"{one.port}|{one.device}|{one.secret}|{mine(one)}" for one in enrolments]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.list_doors", signs.verify_key, *accounts, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    lists = Lists(process, len(enrolments))
    while (line := await process.stdout.readline()) != b"ready\n":
        number, at = line.split()
        lists.heard[int(number)] = float(at)
    reading = asyncio.create_task(lists.read())
    try:
        yield lists
    finally:
        process.terminate()
        await asyncio.wait({reading})
        await process.wait()


class Change:
    def __init__(self, began: float, came: list[float], in_use: float) -> None:
        self.median, self.last, self.in_use = came[len(came) // 2] - began, came[-1] - began, in_use - began


async def lost(hub: Hub, lists: Lists, door: Reader) -> Change:
    access = hub.host.plugins["locks"].instance.access
    began = time.perf_counter()
    await access.end_credential(access.rule_book.credentials[0].ref, "lost", "bench")
    await door.says("list_taken")
    in_use = time.perf_counter()
    return Change(began, await lists.until_all_have_heard(began), in_use)


async def sent_again(hub: Hub, lists: Lists) -> float:
    """The same bytes through the same broker, and nobody makes, packs, seals, keeps or signs anything."""
    began = time.perf_counter()
    await hub.host.plugins["locks"].instance.lists.republish()
    return (await lists.until_all_have_heard(began))[-1] - began


def mine(enrolment: Enrolment) -> str:
    return branch(enrolment.root, enrolment.site, enrolment.kind, enrolment.device)
