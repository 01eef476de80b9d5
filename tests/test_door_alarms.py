"""What somebody should look at: raised by doors and by their silence, told to caretakers, and seen to."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from time import monotonic
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from devices.contract.alive import Heartbeat
from hub.devices.registry import Place
from hub.hub import Hub
from hub.store.store import now
from plugins.locks.config import QuietHours
from tests.api_client import actions, browser
from tests.conftest import settled, until
from tests.door_client import DoorClient
from tests.mail_server import MailServer
from tests.test_access import everywhere, locks, person
from tests.test_doors_console import REDIRECT, seen, sent

NOON, NIGHT = (datetime(2026, 11, 25, hour, 0, tzinfo=UTC) for hour in (11, 2))


@pytest.fixture
def settings(settings: dict[str, Any], mail_server: MailServer) -> dict[str, Any]:
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    settings["plugins"]["locks"] = {"alarms_to": ["vakt@fjordvik.example"]}
    return settings


@pytest_asyncio.fixture
async def door(hub: Hub) -> AsyncIterator[DoorClient]:
    enrolment = await hub.enroller.enrol(
        "door-1", "door", "Hovudinngang", Place(floor="1. etasje", zone="Inngang"), "test"
    )
    await until(lambda: locks(hub).access.rule_book.units)
    async with DoorClient(enrolment).connected() as client:
        await client.list_with(lambda one: one.access.version >= 1)
        await until(lambda: locks(hub).states.of("door-1").lock == "locked")
        await settled(hub)
        yield client


@pytest_asyncio.fixture
async def caretaker(hub: Hub) -> AsyncIterator[aiohttp.ClientSession]:
    async with browser(hub, "caretaker") as session:
        yield session


async def kinds(hub: Hub) -> list[tuple[str, int]]:
    return [(one.kind, one.count) for one in await locks(hub).alarms.active()]


async def test_an_alarm_stands_until_somebody_has_seen_to_it(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    await door.receipt_of(door.event(1, "forced_open"))
    await door.receipt_of(door.event(2, "forced_open"))
    assert await kinds(hub) == [("forced_open", 2)]
    assert "broten opp" in await seen(caretaker, "/doors")
    [alarm] = await locks(hub).alarms.active()
    assert (await sent(caretaker, f"/doors/alarms/{alarm.id}", reason="det var vinden"))[0] == REDIRECT
    assert await kinds(hub) == []
    assert ("nokon", "alarm.acknowledged") in await actions(hub)
    assert (await sent(caretaker, f"/doors/alarms/{alarm.id}"))[0] == REDIRECT  # somebody else was quicker
    assert len([one for one in await actions(hub) if one[1] == "alarm.acknowledged"]) == 1
    await door.receipt_of(door.event(3, "forced_open"))
    assert await kinds(hub) == [("forced_open", 1)]


async def test_a_warning_is_over_by_itself_and_what_is_grave_is_not(hub: Hub, door: DoorClient) -> None:
    await door.receipt_of(door.event(1, "held_too_long"))
    await door.receipt_of(door.event(2, "tamper"))
    assert await kinds(hub) == [("tamper", 1), ("held_too_long", 1)]
    await door.receipt_of(door.event(3, "closed_again"))
    await door.receipt_of(door.event(4, "tamper_over"))
    assert await kinds(hub) == [("tamper", 1)]
    [tamper] = await locks(hub).alarms.active()
    assert tamper.over_at is not None


async def test_a_duress_pin_opens_and_alarms(hub: Hub, door: DoorClient) -> None:
    access = locks(hub).access
    await access.save_rule(everywhere(), "test")
    digits = await access.give_pin(person(hub, "Kari"), "test", opens_alone=True, is_duress=True)
    assert (await door.show(pin=digits)).verb == "pulse"
    assert await kinds(hub) == [("duress", 1)]


async def test_a_low_battery_is_one_alarm_until_it_is_charged(hub: Hub, door: DoorClient) -> None:
    alarms = locks(hub).alarms

    async def beat(percent: int) -> None:
        beat = Heartbeat(sent_at=now(), version="1", uptime_seconds=1, battery_percent=percent)
        door.wire.publish(door.identity.topic("up", "heartbeat"), beat.encoded())
        vitals = hub.devices.vitals("door-1")
        await until(lambda: vitals.heartbeat is not None and vitals.heartbeat.battery_percent == percent)
        await alarms._look(now(), monotonic())

    await beat(15)
    await beat(12)
    assert await kinds(hub) == [("battery_low", 1)]
    await beat(25)
    assert await kinds(hub) == [("battery_low", 1)]
    await beat(90)
    assert await kinds(hub) == []


async def test_a_silent_door_is_an_alarm_until_it_speaks(hub: Hub, door: DoorClient) -> None:
    alarms = locks(hub).alarms
    beat = Heartbeat(sent_at=now(), version="1", uptime_seconds=1)
    door.wire.publish(door.identity.topic("up", "heartbeat"), beat.encoded())
    await until(lambda: hub.devices.vitals("door-1").heartbeat)
    hub.devices.vitals("door-1").is_known_offline = True
    await alarms._look(now(), monotonic() + 30)
    assert await kinds(hub) == []
    await alarms._look(now() - timedelta(hours=1), monotonic() + 180)  # the hub's clock was set back
    await alarms._look(now(), monotonic() + 240)
    assert await kinds(hub) == [("away", 1)]
    hub.devices.vitals("door-1").is_known_offline = False
    await alarms._look(now(), monotonic())
    assert await kinds(hub) == []


async def test_caretakers_are_told_at_once_of_what_is_grave_and_of_the_rest_in_the_morning(
    hub: Hub, door: DoorClient, mail_server: MailServer
) -> None:
    await door.receipt_of(door.event(1, "forced_open"))
    [mail] = await until(lambda: mail_server.mails)
    assert mail["To"] == "vakt@fjordvik.example"
    assert "Alarm: Hovudinngang, 1. etasje, Inngang: broten opp" in str(mail["Subject"])
    alarms = locks(hub).alarms
    alarms._settings = alarms._settings.model_copy(update={"quiet_hours": QuietHours(start=time.min, end=time.max)})
    await door.receipt_of(door.event(2, "held_too_long"))  # it is quiet around the clock
    await door.receipt_of(door.event(3, "mains_lost"))
    await alarms.notify(now())
    assert len(mail_server.mails) == 1
    await door.receipt_of(door.event(4, "mains_back"))
    alarms._settings = alarms._settings.model_copy(update={"quiet_hours": QuietHours()})
    await alarms.notify(NIGHT)
    assert len(mail_server.mails) == 1
    await alarms.notify(NOON)
    await until(lambda: len(mail_server.mails) == 2)
    assert "har stått open for lenge" in str(mail_server.mails[1]["Subject"])
    await alarms.notify(NOON)
    assert all(one.told_at for one in await alarms.active())


def test_hours_that_are_quiet() -> None:
    night = QuietHours()
    assert night.are(time(23))
    assert night.are(time(5, 59))
    assert not night.are(time(6))
    assert not QuietHours(start=time(11), end=time(12)).are(time(13))
