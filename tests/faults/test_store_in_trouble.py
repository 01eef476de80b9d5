"""The database stops, is locked or is full: the hub goes on, says so, loses nothing, and is whole when it is back."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest

from devices.contract import kiosk as contract
from hub.hub import Hub
from plugins.directory.models import public_id
from tests.api_client import browser
from tests.conftest import needs, running_hub, until
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


async def is_ready(hub: Hub) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{hub.settings.web.address}/readyz") as answer:
        return answer.status == 200


async def ready(hub: Hub) -> None:
    async with asyncio.timeout(WHOLE_SECONDS):
        while not await is_ready(hub):
            await asyncio.sleep(0.05)


async def test_a_database_that_stops_and_comes_back(
    settings: dict[str, Any], tmp_path: Path, own_postgres: Postgres
) -> None:
    settings["store"] = {"url": own_postgres.new_database()}
    async with running_hub(settings, tmp_path) as hub, browser(hub, "front_line") as desk:
        enrolment = await hub.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as kiosk:
            await kiosk.register(public_id("kari"), "Gro Her")
            visits = f"{hub.settings.web.address}/visits"
            assert (await desk.get(visits, headers=PAGE)).status == 200
            for _ in range(2):
                await asyncio.to_thread(own_postgres.stop)
                late = a_visit(public_id("kari"), "Siri Sein")
                kiosk.say("visit", late)
                await until(lambda: hub.store.problem)
                assert not await is_ready(hub)
                page = await desk.get(visits, headers=PAGE)
                assert (page.status, page.headers["Retry-After"]) == (503, "2")
                assert kiosk.receipts(late.id) == []
                await asyncio.to_thread(own_postgres.serve)
                back_at = time.monotonic()
                await ready(hub)
                kiosk.say("visit", late)  # as its outbox does
                assert (await kiosk.hear(contract.Receipt, of=late.id)).result == "registered"
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
        enrolment = await hub.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as kiosk:
            await kiosk.search("kari")
            with closing(sqlite3.connect(hub.settings.data / "kommunevert.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                visits = [a_visit(public_id("kari"), f"Gjest {number}") for number in range(15)]
                for visit in visits:
                    kiosk.say("visit", visit)
                locked_at = time.monotonic()
                await until(lambda: hub.store.problem)
                assert not await is_ready(hub)
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
