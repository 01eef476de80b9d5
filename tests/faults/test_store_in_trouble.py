"""The database stops, is locked or is full: the hub goes on, says so, loses nothing, and is whole when it is back."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy.exc import OperationalError

from devices.contract import kiosk as contract
from devices.contract.payload import new_id
from hub.devices.absences import note_alive
from hub.hub import Hub
from hub.store.store import Store
from hub.store.trouble import in_store
from tests.api_client import browser
from tests.conftest import PERSON_IDS, needs, running_hub, until, until_async
from tests.hub_process import HubProcess
from tests.kiosk_client import KioskClient, a_visit
from tests.ports import free_port
from tests.postgres import Postgres

pytestmark = pytest.mark.fault
WHOLE_SECONDS = 5.0
"""From the end of the cause until everything works, by itself."""
PAGE = {"Accept": "text/html"}
LOCKED_SECONDS = 12.0
"""Longer than a handler's time."""


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that this test may stop."""
    initdb = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if initdb is None:
        needs("initdb")
    with TemporaryDirectory(prefix="kommunevert-postgres-") as folder:
        server = Postgres(initdb.parent, Path(folder), free_port())
        server.start()
        yield server
        server.stop()


async def is_ready(address: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{address}/readyz") as answer:
        return answer.status == 200


async def ready(hub: Hub) -> None:
    await until_async(lambda: is_ready(hub.settings.web.address), WHOLE_SECONDS)


async def test_a_database_that_stops_and_comes_back(
    settings: dict[str, Any], tmp_path: Path, own_postgres: Postgres
) -> None:
    settings["store"] = {"url": own_postgres.new_database()}
    async with running_hub(settings, tmp_path) as hub, browser(hub, "front_line") as desk:
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as kiosk:
            await kiosk.register(PERSON_IDS.of("kari"), "Gro Her")
            visits = f"{hub.settings.web.address}/visits"
            assert (await desk.get(visits, headers=PAGE)).status == 200
            registered = ["Gro Her"]
            for number in range(2):
                await asyncio.to_thread(own_postgres.stop)
                late = a_visit(PERSON_IDS.of("kari"), f"Siri Sein {number}")
                kiosk.say("visit", late)
                await until(lambda: hub.store.problem)
                assert not await is_ready(hub.settings.web.address)
                page = await desk.get(visits, headers=PAGE)
                assert (page.status, page.headers["Retry-After"]) == (503, "2")
                evacuation = await desk.get(f"{visits}/evacuation", headers=PAGE)
                assert evacuation.status == 200
                shown = await evacuation.text()
                assert [name for name in registered if name not in shown] == []
                assert "Databasen svarer ikkje" in shown
                doors = await desk.get(f"{hub.settings.web.address}/doors", headers=PAGE)
                assert (doors.status, "Databasen svarer ikkje" in await doors.text()) == (200, True)
                assert kiosk.receipts(late.id) == []
                await asyncio.to_thread(own_postgres.serve)
                back_at = time.monotonic()
                await ready(hub)
                kiosk.say("visit", late)  # as its outbox does
                assert (await kiosk.hear(contract.Receipt, of=late.id)).result == "registered"
                registered.append(f"Siri Sein {number}")
                assert time.monotonic() - back_at < WHOLE_SECONDS
        assert {name: one.state for name, one in hub.host.plugins.items() if one.state != "off"} == dict.fromkeys(
            ("directory", "checkin", "notify", "signage", "locks"), "running"
        )
        assert "Siri Sein" in await (await desk.get(visits, headers=PAGE)).text()


async def test_a_database_that_another_program_locks_keeps_handlers_waiting_and_blames_nobody(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """Ten handlers that ran out of time put check-ins into quarantine, for good."""
    async with running_hub(settings, tmp_path) as hub:
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as kiosk:
            await kiosk.search("kari")
            with closing(sqlite3.connect(hub.settings.data / "kommunevert.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                visits = [a_visit(PERSON_IDS.of("kari"), f"Gjest {number}") for number in range(15)]
                for visit in visits:
                    kiosk.say("visit", visit)
                locked_at = time.monotonic()
                await until(lambda: hub.store.problem)
                assert not await is_ready(hub.settings.web.address)
                await until(lambda: time.monotonic() - locked_at > LOCKED_SECONDS, LOCKED_SECONDS + 5)
                assert not [one for visit in visits for one in kiosk.receipts(visit.id)]
                other.execute("ROLLBACK")
            back_at = time.monotonic()
            for visit in visits:  # not said again: each handler kept its place
                assert (await kiosk.hear(contract.Receipt, of=visit.id)).result == "registered"
            await ready(hub)
            assert time.monotonic() - back_at < WHOLE_SECONDS
            assert hub.host.plugins["checkin"].state == "running"
            assert hub.host.plugins["checkin"].last_failure is None


class SmallDisk:
    """A file system of its own, which can be filled up and made read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self) -> None:
        with self._filling.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(65_536))
        with self._filling.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1))

    def free(self) -> None:
        self._filling.unlink()

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self.folder], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], check=False)
    if made.returncode:
        needs("the right to mount a file system")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest_asyncio.fixture
async def town(settings: dict[str, Any], tmp_path: Path, small_disk: SmallDisk) -> AsyncIterator[HubProcess]:
    """On the small disk."""
    shutil.copytree(settings["data"], small_disk.folder / "data")
    hub = HubProcess(settings | {"data": str(small_disk.folder / "data")}, tmp_path)
    yield hub
    await hub.stop()


async def knows_kari(kiosk: KioskClient) -> bool:
    return bool((await kiosk.search("kari")).hosts)


async def test_a_full_disk_and_a_broker_that_ends_and_a_start_without_room(
    town: HubProcess, small_disk: SmallDisk
) -> None:
    enrolment = (await town.enrol(1))[0]
    await town.start()
    async with KioskClient(enrolment).connected() as kiosk:
        await until_async(lambda: knows_kari(kiosk))
        await kiosk.register(PERSON_IDS.of("kari"), "Gro Her")
        await until(lambda: (small_disk.folder / "data" / "reserve").exists())
        small_disk.fill()
        late = await refused_visit(kiosk)
        assert "store_unavailable" in town.log.read_text()
        os.kill(int((small_disk.folder / "data" / "broker" / "mosquitto.pid").read_text()), signal.SIGKILL)
        await until(lambda: not kiosk.wire.connected)
        await until(lambda: kiosk.wire.connected)
        assert town.is_running
        small_disk.free()
        back_at = time.monotonic()
        await until_async(lambda: is_ready(town.address), WHOLE_SECONDS)
        kiosk.say("visit", late)
        assert (await kiosk.hear(contract.Receipt, of=late.id)).result == "registered"
        assert time.monotonic() - back_at < WHOLE_SECONDS
    for end in (town.stop, town.kill):
        small_disk.fill()
        await end()
        await town.start(is_ready=False)
        small_disk.free()
        await until_async(lambda: is_ready(town.address), WHOLE_SECONDS)
        await until(lambda: (small_disk.folder / "data" / "reserve").exists())


async def test_a_folder_that_is_read_only_is_named_and_written_to_when_it_is_not_any_more(
    small_disk: SmallDisk, sqlite_url: str
) -> None:
    path = small_disk.folder / "test.db"
    shutil.copy(sqlite_url.removeprefix("sqlite:///"), path)
    small_disk.remount("ro")
    store = Store(f"sqlite:///{path}")
    with pytest.raises(OperationalError):
        await store.open()
    store._writer.start()
    for _ in range(2):
        with pytest.raises(OperationalError) as failed:
            await store.write(note_alive)
        assert in_store(failed.value)
        assert str(path) in str(store.problem)
    small_disk.remount("rw")
    await store.write(note_alive)
    assert store.problem is None
    await store.close()


async def refused_visit(kiosk: KioskClient) -> contract.Visit:
    """The first that gets no receipt: a few fit into what SQLite's log has already."""
    while True:
        visit = a_visit(PERSON_IDS.of("kari"), "Siri Sein", new_id())
        kiosk.say("visit", visit)
        try:
            await kiosk.hear(contract.Receipt, of=visit.id, seconds=1)
        except TimeoutError:
            return visit
