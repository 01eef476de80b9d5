"""Whatever is killed, restarted or repeated: every receipted visit is there, once (I1, I2), and its host is told once.

The kiosks here keep an outbox as the tablets do, and write down every receipt with their own clock; the check at the
end reads the database with sqlite3 alone.
"""

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devices.contract import kiosk as contract
from devices.contract.enrolment import Enrolment
from tests.conftest import PERSON_IDS, until
from tests.hub_process import HubProcess
from tests.kiosk_client import KioskClient, a_visit
from tests.mail_server import MailServer

pytestmark = pytest.mark.fault
KIOSKS = 4
RESEND_SECONDS = 0.5
MAX_WAITING = 100
"""A hub that takes long to start on a busy machine is not met by a crowd."""


class Outbox(KioskClient):
    """A kiosk under load: a new visit every few milliseconds, each sent again until its receipt comes."""

    def __init__(self, enrolment: Enrolment) -> None:
        super().__init__(enrolment)
        self.sent: set[str] = set()
        self.waiting: dict[str, contract.Visit] = {}
        self.receipted: set[str] = set()

    def arrive(self) -> None:
        visit = a_visit(PERSON_IDS.of("kari"), f"Gjest {len(self.sent)}")
        self.sent.add(visit.id)
        self.waiting[visit.id] = visit
        self.say("visit", visit)
        if random.random() < 0.1:
            self.say("visit", visit)  # the network repeats

    async def keep_arriving(self) -> None:
        while True:
            if len(self.waiting) < MAX_WAITING:
                self.arrive()
            await asyncio.sleep(random.uniform(0.005, 0.03))

    async def keep_sending(self) -> None:
        while True:
            await asyncio.sleep(RESEND_SECONDS)
            for visit in list(self.waiting.values())[:200]:
                self.say("visit", visit)

    async def keep_reading(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            heard, self.heard = self.heard, []
            for _, message in heard:
                if isinstance(message, contract.Receipt) and message.result == "registered":
                    self.receipted.add(message.of)
                    self.waiting.pop(message.of, None)


@pytest_asyncio.fixture
async def town(settings: dict[str, Any], tmp_path: Path, mail_server: MailServer) -> AsyncIterator[HubProcess]:
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    process = HubProcess(settings, tmp_path)
    yield process
    await process.stop()


@pytest_asyncio.fixture
async def kiosks(town: HubProcess) -> AsyncIterator[list[Outbox]]:
    enrolments = await town.enrol(KIOSKS)
    await town.start()
    async with asyncio.TaskGroup() as group:
        clients = [Outbox(one) for one in enrolments]
        running = [group.create_task(client.wire.run()) for client in clients]
        for client in clients:
            await client.wire.until_connected()
            running += [group.create_task(client.keep_sending()), group.create_task(client.keep_reading())]
        yield clients
        for task in running:
            task.cancel()


async def under_load(kiosks: list[Outbox], mischief: Any) -> None:
    load = [asyncio.create_task(one.keep_arriving()) for one in kiosks]
    try:
        await mischief()
    finally:
        for task in load:
            task.cancel()
        await asyncio.wait(load)
    await until(lambda: not any(one.waiting for one in kiosks), 60)


def check(town: HubProcess, kiosks: list[Outbox]) -> int:
    database = sqlite3.connect(town.config.parent / "data" / "kommunevert.db")
    try:
        stored = [row[0] for row in database.execute("SELECT id FROM checkin_visit")]
        arrived = [row[0] for row in database.execute("SELECT subject FROM event WHERE kind = 'checkin.arrived'")]
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        database.close()
    receipted = set.union(*(one.receipted for one in kiosks))
    assert receipted <= set(stored), "a receipted visit is missing"
    assert set(stored) == set.union(*(one.sent for one in kiosks))
    assert len(stored) == len(set(stored))
    assert sorted(arrived) == sorted(stored), "a visit without its event, or with two"
    return len(stored)


async def test_the_hub_is_killed_at_random_instants_under_load(
    town: HubProcess, kiosks: list[Outbox], mail_server: MailServer
) -> None:
    async def mischief() -> None:
        for _ in range(5):
            await asyncio.sleep(random.uniform(0.1, 1.0))
            await town.kill()
            await town.start()

    await under_load(kiosks, mischief)
    count = check(town, kiosks)
    assert count > 300
    await until(lambda: told_everybody(town, count), 60)
    database = sqlite3.connect(town.config.parent / "data" / "kommunevert.db")
    assert database.execute("SELECT count(*), count(DISTINCT message) FROM notify_outbox").fetchone() == (count, count)
    database.close()


def told_everybody(town: HubProcess, count: int) -> bool:
    """Every visit has a message in the outbox: the events were followed across the kills."""
    database = sqlite3.connect(town.config.parent / "data" / "kommunevert.db")
    try:
        return database.execute("SELECT count(*) FROM notify_outbox").fetchone()[0] >= count
    finally:
        database.close()


async def test_the_broker_is_killed_under_load(town: HubProcess, kiosks: list[Outbox]) -> None:
    async def mischief() -> None:
        for _ in range(4):
            await asyncio.sleep(random.uniform(0.2, 0.8))
            pid_file = town.config.parent / "data" / "broker" / "mosquitto.pid"
            pid = int(pid_file.read_text())
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid, file=pid_file: int(file.read_text()) != pid)
            await until(lambda: all(one.wire.connected for one in kiosks), 40)

    await under_load(kiosks, mischief)
    assert check(town, kiosks) > 300


async def test_a_hub_that_stops_in_order_loses_nothing_either(town: HubProcess, kiosks: list[Outbox]) -> None:
    async def mischief() -> None:
        for _ in range(3):
            await asyncio.sleep(0.3)
            await town.stop()
            await town.start()

    await under_load(kiosks, mischief)
    assert check(town, kiosks) > 100
