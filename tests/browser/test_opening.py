"""Opening hours: the desk says that a day is other than usual; every screen and kiosk knows it, as it knows holidays."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from hub.configuration.opening_hours import spans_of
from hub.store.store import now
from tests.browser.chromium import Size
from tests.browser.conftest import LANGUAGES, TownHall
from tests.browser.looks import look
from tests.browser.test_kiosk_alone import GONE, until_it_starts_offline
from tests.browser.visitor import choose_language


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    settings["site"]["languages"] = ["nn"]  # the screen speaks no other in turn
    return settings


@pytest.mark.parametrize("size", ["phone", "desk"])
async def test_the_desk_sets_a_day_and_takes_it_back(town_hall: TownHall, size: Size) -> None:
    calendar = town_hall.hub.calendar
    today = now().astimezone(town_hall.hub.settings.site.zone).date()
    day = next(
        one for one in (today + timedelta(days=number) for number in range(1, 30)) if len(calendar.spans(one)) == 1
    )
    console = await town_hall.console("/opening-hours", "front_line", size=size)
    week = console.locator(".figures").first
    await expect(week.locator("div", has_text="Torsdag").locator("dd")).to_have_text("09:00\u201317:00")
    await expect(week.locator("dt").first).to_have_text("Måndag")
    await console.locator("#day").fill(day.isoformat())
    town_hall.chromium.excuse(r"status of 422 ")
    await console.locator("#spans").fill("9-12")
    await console.locator("form.stack button").click()
    await expect(console.locator("[role=alert]")).to_contain_text("09:00-12:00")
    await expect(console.locator("#spans")).to_have_value("9-12")
    await console.locator("#spans").fill("09:00-12:00")
    await console.locator("form.stack button").click()
    row = console.locator("tbody tr", has_text="lagt inn her")
    await expect(row).to_contain_text("09:00\u201312:00")
    await look(console, f"console/opening-{size}", is_whole_page=True)
    assert [one.on for one in town_hall.hub.exceptions.days] == [day]
    assert any(one.on == day for one in (await programme(town_hall)))
    await row.locator("button").click()
    await expect(console.locator("tbody tr", has_text="lagt inn her")).to_have_count(0)
    assert len(calendar.spans(day)) == 1
    assert not any(one.on == day for one in (await programme(town_hall)))


async def programme(town_hall: TownHall) -> list[date]:
    return (await town_hall.hub.host.plugins["signage"].instance.signage.programme()).other_days


@pytest.mark.parametrize(
    ("at", "is_open", "says"),
    [
        ("2026-12-25T10:00", False, "Første juledag"),
        ("2026-12-23T10:00", True, "Torsdag 24. desember"),
        ("2026-12-24T10:00", True, "09:00\u201312:00"),
        ("2026-12-24T13:00", False, "Opnar måndag klokka 09:00"),
    ],
)
async def test_it_says_closed_on_a_holiday_and_knows_the_days_to_come(
    town_hall: TownHall, at: str, is_open: bool, says: str
) -> None:
    """It said "Open now" on Christmas Day. It goes by its own clock, also without the hub."""
    await town_hall.hub.exceptions.set_day("", date(2026, 12, 24), spans_of(["09:00-12:00"]), "test")
    await town_hall.hub.host.plugins["signage"].instance.signage.publish()
    screen = await town_hall.screen(has_clock=True)
    moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Oslo"))
    await screen.clock.set_fixed_time(moment)
    await screen.evaluate("void dispatchEvent(new Event('resize'))")  # it draws at once
    await expect(screen.locator(".opening")).to_have_attribute("data-open", "true" if is_open else "false")
    await expect(screen.locator(".hours")).to_contain_text(says)
    await look(screen, f"screen/wall-hours-{at[:10]}")


async def clock_at(kiosk: Page, at: str) -> None:
    """By the site's clock; what is due at that time is done."""
    await kiosk.clock.set_system_time(datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Oslo")))
    await kiosk.clock.run_for(6_000)


async def test_the_kiosk_says_whether_the_house_is_open_and_goes_by_its_own_clock(town_hall: TownHall) -> None:
    town_hall.chromium.excuse(GONE)
    await town_hall.hub.exceptions.set_day("", date(2026, 12, 24), spans_of(["09:00-12:00"]), "test")
    kiosk = await town_hall.kiosk(has_clock=True)
    line = kiosk.locator("#opening")
    await clock_at(kiosk, "2026-12-23T15:20:00")
    await expect(line).to_have_text("Ope no · stengjer klokka 15:30")
    await clock_at(kiosk, "2026-12-23T15:31:00")
    await expect(line).to_have_text("Stengt no · opnar i morgon klokka 09:00")
    await until_it_starts_offline(kiosk, 4)
    await kiosk.context.set_offline(True)
    await kiosk.reload()
    await clock_at(kiosk, "2026-12-24T11:00:00")
    await expect(line).to_have_text("Ope no · stengjer klokka 12:00")
    await clock_at(kiosk, "2026-12-25T10:00:00")
    await expect(line).to_have_text("Stengt no · opnar måndag klokka 09:00")


@pytest.fixture
def in_all_languages(settings: dict[str, Any]) -> None:
    """Ask for it before the town hall."""
    settings["site"]["languages"] = LANGUAGES


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("nb", "Åpent nå · stenger klokka 15:30"),
        ("en", "Open now · closes at 15:30"),
        ("ar", "مفتوح الآن · يغلق الساعة \u206815:30\u2069"),
    ],
)
async def test_the_kiosk_says_it_in_the_visitors_language(
    in_all_languages: None, town_hall: TownHall, language: str, says: str
) -> None:
    kiosk = await town_hall.kiosk(has_clock=True)
    await clock_at(kiosk, "2026-12-23T10:00")
    await choose_language(kiosk, language)
    await expect(kiosk.locator("#opening")).to_have_text(says)
    await look(kiosk, f"kiosk/tablet-{language}/opening")


@pytest.fixture
def without_hours(settings: dict[str, Any]) -> None:
    """Ask for it before the town hall."""
    settings["calendar"] = {}


async def test_the_kiosk_says_nothing_where_nobody_has_said_any_hours(without_hours: None, town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk()
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
    await expect(kiosk.locator("#opening")).to_have_count(0)
