"""The screen on the wall: what is new within a second, and everything else for as long as it has power."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Page, expect

from hub.hub import Hub
from tests.browser.chromium import Chromium, close, kill
from tests.browser.conftest import PASSWORD, TownHall, fill_in_login
from tests.browser.hub_process import HubProcess
from tests.browser.test_kiosk_alone import GONE, until_it_starts_offline

TURN_MS = 12_500


async def test_hours_board_and_a_notice_within_a_second(town_hall: TownHall) -> None:
    screen = await town_hall.screen()
    await expect(screen.locator(".head h1")).to_have_text("Fjordvik rådhus")
    await expect(screen.locator(".hours")).to_contain_text("09:00\u201315:30")
    await expect(screen.locator(".board")).to_contain_text("Kari Nordmann")
    await expect(screen.locator(".board")).not_to_contain_text("Karl-Åge")  # not a unit of the board

    console = await town_hall.console("/screens", "front_line")
    await expect(console.locator("#screen-list")).to_contain_text("spelar")
    await console.locator("#title_nn").fill("Vatnet er stengt <b>i dag</b>")
    await console.locator("#text_nn").fill("Kom og hent vatn ved skulen.")
    await console.locator("#severity").select_option("danger")
    await console.locator(".notice-form button").click(no_wait_after=True)
    await expect(screen.locator(".notice h2")).to_have_text("Vatnet er stengt <b>i dag</b>", timeout=1_500)
    await expect(screen.locator(".notice")).to_have_attribute("data-severity", "danger")
    await console.locator(".notices button").click()
    await expect(screen.locator(".notice")).to_have_count(0, timeout=1_500)


async def test_who_is_out_turns_over_while_one_looks(town_hall: TownHall) -> None:
    screen = await town_hall.screen()
    row = screen.locator(".board li", has_text="Kari Nordmann")
    await expect(row).to_have_count(1)
    was = await row.get_attribute("data-in")
    console = await town_hall.console("/people", "front_line")
    toggle = console.locator("tr", has_text="Kari Nordmann").locator("button")
    await toggle.click()
    await expect(row).to_have_attribute("data-in", "false" if was == "true" else "true", timeout=1_500)
    await toggle.click()
    await expect(row).to_have_attribute("data-in", str(was), timeout=1_500)


async def test_it_shows_nothing_about_visitors(town_hall: TownHall) -> None:
    screen = await town_hall.screen()
    await expect(screen.locator(".board")).to_be_visible()
    programme = await programme_of(town_hall.hub)
    assert set(programme) == {
        *("revision", "is_on", "site_name", "time_zone", "languages", "hours", "other_days", "board", "notices"),
        "made_at",
    }
    assert all(set(row) == {"name", "unit", "is_in"} for row in programme["board"])


async def programme_of(hub: Hub) -> dict[str, Any]:
    programme = await hub.host.plugins["signage"].instance.signage.programme()
    return dict(programme.model_dump(mode="json"))


@pytest_asyncio.fixture
async def town(hub_process: HubProcess) -> AsyncIterator[HubProcess]:
    async with hub_process.store_only() as hub:
        await hub.accounts.put("skranke", PASSWORD, frozenset({"front_line"}), "test")
    yield hub_process


async def put_up(chromium: Chromium, address: str, title: str) -> None:
    console = await chromium.tab("desk")
    await console.goto(f"{address}/screens")
    await fill_in_login(console, "skranke", PASSWORD)
    await console.locator("#title_nn").fill(title)
    await console.locator(".notice-form button").click()
    await expect(console.locator(".notices")).to_contain_text(title)
    await console.close()


async def test_it_plays_on_without_hub_and_broker_and_after_a_power_cut(
    town: HubProcess, chromium: Chromium, tmp_path: Path
) -> None:
    chromium.excuse(GONE)
    profile = tmp_path / "player"
    link = await town.link("screen-1", "screen")
    address = town.settings.web.address
    await town.start()
    screen = await chromium.kept_tab(profile, "wall")
    await screen.clock.install()
    await screen.goto(link)
    await expect(screen).to_have_url(f"{address}/screen")
    await put_up(chromium, address, "Ope kveld torsdag")
    await plays(screen, "Ope kveld torsdag")
    await until_it_starts_offline(screen, 4)

    await town.kill_with_broker()
    languages = set()
    for _ in range(4):
        await plays(screen, "Ope kveld torsdag")
        languages.add(await screen.locator("html").get_attribute("lang"))
        await screen.clock.fast_forward(TURN_MS)
    assert languages == {"nn", "nb", "en", "ar"}  # it turns its pages, it is not a still picture
    await expect(screen.locator(".age")).to_be_visible()

    await screen.reload()
    await plays(screen, "Ope kveld torsdag")

    await kill(screen.context, profile)
    screen = await chromium.kept_tab(profile, "wall")
    await screen.goto(f"{address}/screen")
    await plays(screen, "Ope kveld torsdag")

    await town.start()
    await expect(screen.locator(".age")).to_have_count(0, timeout=20_000)
    await put_up(chromium, address, "Vatnet er tilbake")
    await plays(screen, "Vatnet er tilbake")
    await close(screen)


async def plays(screen: Page, title: str) -> None:
    await expect(screen.locator("body")).to_have_attribute("data-state", "playing")
    await expect(screen.locator(".notice h2")).to_contain_text(title, timeout=20_000)  # notices take turns
    await expect(screen.locator(".board")).to_contain_text("Kari Nordmann")
    await expect(screen.locator(".hours")).to_be_visible()


async def test_a_screen_without_a_link_says_so(town_hall: TownHall) -> None:
    screen = await town_hall.chromium.tab("wall")
    await screen.goto(f"{town_hall.hub.settings.web.address}/screen")
    await expect(screen.locator("body")).to_have_attribute("data-state", "unpaired")


async def test_a_screen_that_is_switched_off_is_dark_and_comes_back(town_hall: TownHall) -> None:
    screen = await town_hall.screen()
    await expect(screen.locator("[data-section]").first).to_be_visible()
    page = await town_hall.console("/screens", "front_line")
    await page.get_by_role("button", name="Slå av").click()
    await expect(screen.locator("body")).to_have_attribute("data-state", "off")
    assert await screen.locator("[data-section]").count() == 0
    await page.get_by_role("button", name="Slå på").click()
    await expect(screen.locator("body")).to_have_attribute("data-state", "playing")
