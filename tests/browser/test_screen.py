"""The screen on the wall: what is new within a second, and everything else for as long as it has power."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from hub.hub import Hub
from plugins.signage.models import make_notice
from tests.browser.chromium import Chromium, Size, close, kill
from tests.browser.clock import set_clock
from tests.browser.conftest import PASSWORD, TownHall, fill_in_login
from tests.browser.hub_process import HubProcess
from tests.browser.looks import look
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
    await expect(screen.locator(".takeover h2")).to_have_text("Vatnet er stengt <b>i dag</b>", timeout=1_500)
    await expect(screen.locator("main > *")).to_have_count(2)  # the head and the danger, and nothing else
    await console.locator(".notices").get_by_role("link", name="Endre").click()
    await console.locator("#severity").select_option("warning")
    await console.get_by_role("button", name="Lagre").click()
    await expect(screen.locator(".notice h2")).to_have_text("Vatnet er stengt <b>i dag</b>", timeout=1_500)
    await expect(screen.locator(".board")).to_be_visible()
    await console.locator(".notices button").click()
    await expect(screen.locator(".notice")).to_have_count(0, timeout=1_500)


async def test_a_clock_that_is_set_back_stops_no_turns(town_hall: TownHall) -> None:
    """By the clock on the wall there was a notice before the first one."""
    signage = town_hall.hub.host.plugins["signage"].instance.signage
    screen = await town_hall.screen()
    for title in ("Ein", "To", "Tre"):
        await signage.put_up(make_notice("info", {"nn": title}, {}), "test")
    await expect(screen.locator(".notice h2")).to_be_visible()
    before = await screen.locator(".head").inner_text()
    await set_clock(screen, -7212)
    await expect(screen.locator(".head")).not_to_have_text(before, use_inner_text=True)
    await expect(screen.locator(".notice h2")).to_be_visible()


LONG_TITLE = "Drikkevatnet i sentrum og på Strandsida må kokast minst tre minutt før bruk no i dag"[:80]
LONG_TEXT = (
    "Brot på hovudleidninga ved Storgata. Hent reint drikkevatn i vassvognene ved skulen og idrettshallen. " * 4
)[:400]
TAKEOVER = """part => {
  const text = part.querySelector(".text");
  return [
    document.documentElement.lang,
    part.querySelector("h2").innerText,
    text.innerText,
    parseFloat(getComputedStyle(text).fontSize) / innerHeight,
    part.scrollHeight - part.clientHeight,
    part.scrollWidth - part.clientWidth,
  ];
}"""


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (3840, 2160), (1024, 768), (390, 844)])
async def test_danger_takes_the_screen_in_type_that_is_never_small(
    town_hall: TownHall, width: int, height: int
) -> None:
    """One notice at a time, in the languages that it is written in, and all of its text in the end."""
    signage = town_hall.hub.host.plugins["signage"].instance.signage
    screen = await town_hall.screen(has_clock=True)
    await screen.set_viewport_size({"width": width, "height": height})
    await expect(screen.locator(".board")).to_be_visible()
    await screen.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    for severity, title, text in (
        ("info", {"nn": "Ope hus"}, {}),
        ("danger", {"nn": LONG_TITLE, "nb": ""}, {"nn": LONG_TEXT}),
        ("danger", {"en": "Fire. Leave now.", "ar": "حريق. غادروا الآن."}, {"en": "By the stairs."}),
    ):
        await signage.put_up(make_notice(severity, title, text), "test")
    await expect(screen.locator(".takeover")).to_be_visible()
    seen: set[tuple[str, str]] = set()
    words: list[str] = []
    for _ in range(24):
        await expect(screen.locator("main > *:not(.head, .takeover, .age)")).to_have_count(0)
        await expect(screen.locator(".takeover h2")).to_have_count(1)
        language, title, text, share, *cut = await screen.locator(".takeover").evaluate(TAKEOVER)
        seen.add((language, title))
        assert (share >= 0.05, max(cut) <= 1) == (True, True), (share, cut)
        words += text.split()
        await screen.clock.fast_forward(8_000)
    assert seen == {("nn", LONG_TITLE), ("en", "Fire. Leave now."), ("ar", "حريق. غادروا الآن.")}
    assert set(LONG_TEXT.split()) <= set(words)
    await screen.clock.resume()  # axe waits by timers
    await look(screen, f"screen/danger-{width}x{height}")


@pytest.mark.parametrize("size", ["desk", "tablet", "small phone"])
async def test_the_desk_chooses_screens_and_changes_its_mind(town_hall: TownHall, size: Size) -> None:
    signage = town_hall.hub.host.plugins["signage"].instance.signage
    town_hall.chromium.excuse("422")
    for name in ("screen-1", "screen-2"):
        await town_hall.link(name, "screen")
    page = await town_hall.console("/screens", "front_line", size=size)
    await page.locator("#title_en").fill("Open house")
    await expect(page.locator(".chosen")).to_be_hidden()
    await page.locator("#where").select_option("chosen")
    await page.locator(".notice-form button").last.click()
    await expect(page.locator("#mistake")).to_have_text("Vel ein storskjerm, eller alle.")
    await expect(page.locator("#title_en")).to_have_value("Open house")
    await page.locator(".chosen input").last.check()
    await page.locator("#since").fill("2030-01-01T08:00")
    await look(
        page, f"console/{size}-nn/screens-chosen", least_px=44 if size == "small phone" else None, is_whole_page=True
    )
    await page.locator(".notice-form button").last.click()
    await expect(page.locator(".notices")).to_contain_text("frå tysdag 1. januar klokka 08:00")
    await expect(page.locator(".notices")).to_contain_text("Nettbrett screen-2")
    [one] = await signage.notices()
    assert (one.title, one.screens) == ({"en": "Open house"}, ["screen-2"])
    await page.locator(".notices").get_by_role("link", name="Endre").click()
    await expect(page.locator("#since")).to_have_value("2030-01-01T08:00")
    await expect(page.locator(".chosen input").last).to_be_checked()
    await look(page, f"console/{size}-nn/notice", least_px=44 if size == "small phone" else None, is_whole_page=True)
    await page.locator("#where").select_option("all")
    await page.locator("#since").fill("")
    await page.get_by_role("button", name="Lagre").click()
    await expect(page.locator(".notices")).to_contain_text("alle storskjermane")


async def test_a_notice_begins_by_itself_also_without_the_hub(town_hall: TownHall) -> None:
    signage = town_hall.hub.host.plugins["signage"].instance.signage
    screen = await town_hall.screen(has_clock=True)
    await expect(screen.locator(".board")).to_be_visible()
    soon = datetime.now(UTC) + timedelta(minutes=30)
    await signage.put_up(make_notice("info", {"en": "Open house"}, {}, since=soon), "test")
    await expect(screen.locator(".board")).to_be_visible()
    assert await screen.locator(".notice").count() == 0
    await screen.context.set_offline(True)
    await screen.clock.fast_forward(31 * 60_000)
    await expect(screen.locator(".notice h2")).to_have_text("Open house")  # written in English only
    await expect(screen.locator(".notice .text")).to_have_count(0)


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
