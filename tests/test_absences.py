"""When devices were away: by silence, by last will, across restarts of the hub and outages of the broker."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from devices.contract.alive import DEADLINE_SECONDS, Heartbeat, Status
from hub.devices.absences import Absence
from hub.devices.registry import Place
from hub.hub import Hub
from hub.store.store import now
from hub.store.tables import absence, hub_life
from tests.conftest import running_hub, until, until_async
from tests.kiosk_client import KioskClient
from tests.test_pairing import administrator


@pytest.fixture
def settings(settings: dict[str, Any], sqlite_url: str) -> dict[str, Any]:
    return settings | {"store": {"url": sqlite_url}}


@pytest_asyncio.fixture
async def hub(settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(settings, tmp_path) as hub:
        yield hub


def beat(**values: Any) -> Heartbeat:
    return Heartbeat(**({"sent_at": datetime.now(UTC), "version": "1.2.3", "uptime_seconds": 7200} | values))


async def absences(hub: Hub) -> list[Absence]:
    return (await hub.devices.absences.of("kiosk-1"))[0]


async def alive(hub: Hub, kiosk: KioskClient) -> None:
    kiosk.say("heartbeat", beat())
    await until(lambda: hub.devices.vitals("kiosk-1").is_alive)


async def alive_again(hub: Hub, kiosk: KioskClient) -> None:
    refused = hub.devices.vitals("kiosk-1").refused
    kiosk.say("heartbeat", beat())
    kiosk.say("search", b"nonsense")  # refused, and after the two
    await until(lambda: hub.devices.vitals("kiosk-1").refused > refused)
    assert hub.devices.vitals("kiosk-1").is_alive


def time_passes(hub: Hub, seconds: float) -> None:
    """As if the last sign of life, and the line to the broker, were older."""
    vitals = hub.devices.vitals("kiosk-1")
    assert vitals.last_seen_monotonic is not None
    assert hub.devices.absences.listening_since is not None
    vitals.last_seen_monotonic -= seconds
    hub.devices.absences.listening_since -= seconds


async def test_silence_and_a_last_will(hub: Hub, kiosk: KioskClient) -> None:
    await alive(hub, kiosk)
    assert await absences(hub) == []
    time_passes(hub, DEADLINE_SECONDS + 20)
    [silent] = await until_async(lambda: absences(hub))
    assert silent.noticed_by == "heartbeat"
    assert silent.ended_at is None
    assert (
        timedelta(seconds=59) < now() - silent.began_at < timedelta(seconds=70)
    )  # since the last word, not the notice
    assert hub.devices.absences.since("kiosk-1") == silent.began_at
    await alive(hub, kiosk)
    [ended] = await until_async(lambda: ended_only(hub))
    assert ended.ended_by == "heard"

    kiosk.say("status", Status(online=False), retain=True)  # as the broker says it when the line breaks
    await until(lambda: not hub.devices.vitals("kiosk-1").is_alive)
    newest = (await until_async(lambda: two(hub)))[0]
    assert (newest.noticed_by, newest.ended_at) == ("last_will", None)
    kiosk.say("status", Status(online=False), retain=True)  # said again, it is the same absence
    await alive(hub, kiosk)
    await until_async(lambda: ended_only(hub, 2))

    kiosk.say("status", Status(online=False))  # a reconnection: the old line's last will, and at once the new line
    await alive_again(hub, kiosk)
    await hub.devices.absences.write(is_last=True)
    assert len(await absences(hub)) == 2


async def ended_only(hub: Hub, count: int = 1) -> list[Absence]:
    found = await absences(hub)
    return found if len(found) == count and all(one.ended_at for one in found) else []


async def two(hub: Hub) -> list[Absence]:
    found = await absences(hub)
    return found if len(found) == 2 else []


async def life_is_written(hub: Hub) -> bool:
    """Since the start: the next mark of life is ten seconds away."""
    return hub.devices.absences._alive_noted_at > 0


async def test_a_device_that_never_came_is_not_away(hub: Hub) -> None:
    await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    assert hub.devices.absences.listening_since is not None
    hub.devices.absences.listening_since -= 1000
    hub.devices.check_absences()
    await hub.devices.absences.write(is_last=True)
    assert await absences(hub) == []


async def test_a_broker_that_is_away_is_no_devices_absence(hub: Hub, kiosk: KioskClient) -> None:
    await alive(hub, kiosk)
    hub._on_disconnected()
    vitals = hub.devices.vitals("kiosk-1")
    assert vitals.last_seen_monotonic is not None
    vitals.last_seen_monotonic -= 1000
    hub.devices.check_absences()
    hub._on_connected()
    hub.devices.check_absences()
    await hub.devices.absences.write(is_last=True)
    assert await absences(hub) == []


async def test_the_hubs_own_absence_is_not_the_devices(settings: dict[str, Any], tmp_path: Path) -> None:
    """Away at 10, hub dead from 11 to 15: away from 10 to 11, and from 15 if it is not there then."""
    async with running_hub(settings, tmp_path) as hub:
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as kiosk:
            await alive(hub, kiosk)
            kiosk.say("status", Status(online=False))
            await until_async(lambda: absences(hub))
        stopped = now() - timedelta(hours=4)
        hours = {"began": stopped - timedelta(hours=1), "stopped": stopped}

        def long_ago(connection: Any) -> None:
            connection.execute(update(absence).values(began_at=hours["began"]))

        await hub.store.write(long_ago)
    async with running_hub(settings, tmp_path) as hub:
        # What a crash leaves: the last mark of life is old. `start` is what runs at the start, once more.
        await until_async(lambda: life_is_written(hub))

        def dead(connection: Any) -> None:
            connection.execute(update(absence).values(ended_at=None, ended_by=None))
            connection.execute(update(hub_life).values(at=hours["stopped"]))

        await hub.store.write(dead)
        await hub.devices.absences.start()
        [before] = await absences(hub)
        assert (before.ended_at, before.ended_by) == (hours["stopped"], "hub_stopped")
        assert before.lasted == timedelta(hours=1)
        assert hub.devices.absences.listening_since is not None
        hub.devices.absences.listening_since = time.monotonic() - DEADLINE_SECONDS - 5
        [after, _] = await until_async(lambda: two(hub))
        assert now() - after.began_at < timedelta(minutes=2)
        assert after.noticed_by == "heartbeat"


async def test_the_page_and_the_diagnostics(hub: Hub, kiosk: KioskClient) -> None:
    await hub.devices.describe("kiosk-1", "Til Kari Nordmann", Place(building="Rådhuset", floor="2. etasje"), "test")
    late = datetime.now(UTC) - timedelta(seconds=90)
    kiosk.say("heartbeat", beat(sent_at=late, battery_percent=12, signal_dbm=-85, outbox=3, problem="no storage"))
    await until(lambda: hub.devices.vitals("kiosk-1").heartbeat)
    offset = hub.devices.vitals("kiosk-1").clock_offset_seconds
    assert offset is not None
    assert -95 < offset < -85
    async with administrator(hub) as admin:
        for path in ("/devices", "/devices/kiosk-1"):
            page = await (await admin.get(path, headers={"Accept": "text/html"})).text()
            for word in ("Til Kari Nordmann", "Rådhuset, 2. etasje", "12 %", "-85 dBm", "no storage"):
                assert word in page, (path, word)
        answer = await admin.get("/devices/kiosk-1/diagnostics")
        assert "attachment" in answer.headers["Content-Disposition"]
        text = await answer.text()
        found = json.loads(text)
        assert found["heartbeat"]["battery_percent"] == 12
        assert found["account"] == {
            "broker_knows_it": True,
            "writes": "kommunevert/test/kiosk/kiosk-1/up/#",
            "reads": "kommunevert/test/kiosk/kiosk-1/down/#",
        }
        device = hub.devices.require("kiosk-1")
        for private in (device.secret_hash, kiosk.enrolment.secret, "Kari", "$7$"):
            assert private not in text
        assert (await admin.get("/devices/nobody")).status == 404


async def test_what_is_noticed_is_kept_while_the_database_is_away(
    hub: Hub, kiosk: KioskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alive(hub, kiosk)
    write = hub.store.write

    async def broken(_work: Any) -> None:
        raise OperationalError("x", {}, Exception("disk full"))

    monkeypatch.setattr(hub.store, "write", broken)
    kiosk.say("status", Status(online=False))
    await until(lambda: hub.devices.absences.since("kiosk-1"))
    await hub.devices.absences.write()
    monkeypatch.setattr(hub.store, "write", write)
    assert len(await until_async(lambda: absences(hub))) == 1
    assert hub.parts.problems == {}
