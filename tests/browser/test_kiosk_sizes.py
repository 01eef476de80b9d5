"""The kiosk with large letters, beside a soft keyboard, and with a name that is longer than its field."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from hub.configuration.shipped import shipped
from tests.browser.conftest import TownHall
from tests.browser.looks import look
from tests.browser.visitor import choose_language, number_shown

BROWSERS_TYPE = 16
CUT = """() => [document.documentElement, ...document.querySelectorAll("body *:not(input)")]
  .filter((part) => part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0)
  .map((part) => `${part.tagName}.${part.className} ${part.scrollWidth} in ${part.clientWidth}`)"""
IN_SIGHT = """parts => parts.map((part) => {
  const box = part.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + 4);
  const bottom = document.elementFromPoint(box.x + box.width / 2, box.bottom - 4);
  return [top, bottom].every((one) => part.contains(one));
})"""


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    """With the demo's people, of whom five have a name that begins alike."""
    settings["plugins"]["directory"]["source"]["file"] = str(shipped("demo/employees.ldif"))
    return settings


@pytest.mark.parametrize("width", [375, 800])
@pytest.mark.parametrize("language", ["nn", "en", "ar"])
async def test_letters_twice_as_large_fit_a_standing_tablet(town_hall: TownHall, width: int, language: str) -> None:
    kiosk = await town_hall.kiosk()
    await kiosk.set_viewport_size({"width": width, "height": 1280})
    devtools = await kiosk.context.new_cdp_session(kiosk)
    await devtools.send("Page.setFontSizes", {"fontSizes": {"standard": 2 * BROWSERS_TYPE, "fixed": 26}})
    assert await kiosk.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") >= 2 * BROWSERS_TYPE

    async def fits(state: str) -> None:
        await look(kiosk, f"kiosk/large-{width}-{language}/{state}", has_axe=False)
        assert await kiosk.evaluate(CUT) == [], state

    await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
    await fits("01-language")
    await choose_language(kiosk, language)
    await fits("02-start")
    await kiosk.locator("[data-track=directions]").click()
    await fits("03-directions")
    await kiosk.locator("[data-signpost=psychiatric-health]").click()
    await fits("04-way")
    for track in ("checkout", "search"):
        await kiosk.locator("[data-action=start_over]").click()
        await choose_language(kiosk, language)
        await kiosk.locator(f"[data-track={track}]").click()
        await fits(f"05-{track}")
    await five_hosts(kiosk)
    await fits("06-found")
    await kiosk.locator("[data-host]").first.click()
    await fits("07-details")
    await kiosk.locator("#visitor").fill("Ola Besøk")
    await kiosk.locator("[data-action=register]").click()
    await number_shown(kiosk)
    await fits("08-registered")


@pytest.mark.parametrize("language", ["nn", "en", "ar"])
async def test_a_soft_keyboard_leaves_all_answers_and_the_button_in_sight(town_hall: TownHall, language: str) -> None:
    kiosk = await town_hall.kiosk()
    await kiosk.set_viewport_size({"width": 1280, "height": 400})
    await choose_language(kiosk, language)
    await kiosk.locator("[data-track=search]").click()
    await five_hosts(kiosk)
    await look(kiosk, f"kiosk/short-{language}/search")
    assert await kiosk.locator("#host, [data-host]").evaluate_all(IN_SIGHT) == [True] * 6
    await kiosk.locator("[data-host]").last.click()
    await kiosk.locator("[data-action=register]").click()
    await expect(kiosk.locator("#name-error")).not_to_be_empty()
    await kiosk.locator("#company").fill("x" * 80)
    await look(kiosk, f"kiosk/short-{language}/details")
    assert await kiosk.locator("#visitor, #company, [data-action=register]").evaluate_all(IN_SIGHT) == [True] * 3


async def test_a_name_that_is_longer_than_its_field_is_not_cut_in_silence(town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk()
    await choose_language(kiosk)
    await kiosk.locator("[data-track=search]").click()
    await five_hosts(kiosk)
    await kiosk.locator("[data-host]").first.click()
    for field in ("visitor", "company"):
        room = kiosk.locator(f".field:has(#{field}) .room")
        await kiosk.locator(f"#{field}").press_sequentially("a" * 60)
        await expect(room).to_be_empty()
        await kiosk.locator(f"#{field}").press_sequentially("b" * 18)
        await expect(room).to_have_text("Det er plass til 2 teikn til.")
        await kiosk.locator(f"#{field}").press_sequentially("c" * 9)
        await expect(room).to_have_text("Det er ikkje plass til meir enn 80 teikn.")
        await expect(kiosk.locator(f"#{field}")).to_have_value("a" * 60 + "b" * 18 + "cc")
    await look(kiosk, "kiosk/tablet-nn/30-long-name")


async def five_hosts(kiosk: Page) -> None:
    await kiosk.locator("#host").fill("hau")
    await expect(kiosk.locator("[data-host]")).to_have_count(5)
