"""Opening hours at the kiosk: sent with its first page, and again whenever other hours are to come."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devices.contract import kiosk as contract
from hub.calendar import device_hours
from hub.calendar.opening import Calendar
from hub.configuration.opening_hours import WEEKDAYS, CalendarSettings
from hub.hub import Hub
from hub.store.store import now
from tests.api_client import browser
from tests.conftest import until
from tests.kiosk_client import KioskClient

OSLO = ZoneInfo("Europe/Oslo")


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    """A house that is open each day of the year."""
    settings["calendar"] = {"hours": {day: ["09:00-15:30"] for day in WEEKDAYS}, "holidays": ""}
    return settings


def offers(kiosk: KioskClient) -> list[contract.Offer]:
    return [message for _, message in kiosk.heard if isinstance(message, contract.Offer)]


async def test_the_kiosk_hears_of_another_day_as_soon_as_the_desk_has_set_it(hub: Hub, kiosk: KioskClient) -> None:
    offer = await kiosk.hear(contract.Offer)
    assert offer.time_zone == "Europe/Oslo"
    assert [one.spans for one in offer.hours] == [[("09:00", "15:30")]] * 7
    assert offer.other_days == []
    day = now().astimezone(OSLO).date() + timedelta(days=3)
    async with browser(hub, "front_line") as desk:
        form = {"service": "", "day": day.isoformat(), "spans": "09:00-12:00"}
        await desk.post(f"{hub.settings.web.address}/opening-hours", data=form, allow_redirects=False)
        await until(lambda: offers(kiosk)[-1].other_days)
        [other] = offers(kiosk)[-1].other_days
        assert (other.on, other.spans) == (day, [("09:00", "12:00")])
        await desk.post(
            f"{hub.settings.web.address}/opening-hours/remove",
            data={"service": "", "day": day.isoformat()},
            allow_redirects=False,
        )
        await until(lambda: not offers(kiosk)[-1].other_days)


def test_where_nobody_has_said_any_hours_there_are_none() -> None:
    assert device_hours.week_of(Calendar(CalendarSettings(), OSLO)) == []


async def test_who_shows_the_days_to_come_is_called_at_midnight_by_the_sites_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at, called = datetime(2026, 7, 1, 21, 59, tzinfo=UTC), []  # 23:59 in Oslo

    async def changed() -> None:
        called.append(at)

    monkeypatch.setattr(device_hours, "CHECK_SECONDS", 0)
    monkeypatch.setattr(device_hours, "now", lambda: at)
    job = asyncio.create_task(device_hours.call_daily(OSLO, changed))
    for _ in range(3):
        await asyncio.sleep(0)
    assert called == []
    at += timedelta(minutes=2)
    await until(lambda: called)
    for _ in range(3):
        await asyncio.sleep(0)
    assert called == [at]
    job.cancel()
    await asyncio.wait({job})
