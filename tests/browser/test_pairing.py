"""A tablet out of its box: it shows a code, an administrator types it on a phone, and visitors can register."""

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import SIZES, Size
from tests.browser.conftest import TownHall
from tests.browser.looks import CONSOLE_PHONE_PX, KIOSK_PX, look

FRAME_SIZES: tuple[Size, ...] = ("phone", "tablet")


async def looked_at(page: Page, name: str, language: str) -> None:
    for size in FRAME_SIZES:
        width, height = SIZES[size]
        await page.set_viewport_size({"width": width, "height": height})
        least_px = CONSOLE_PHONE_PX if size == "phone" else None
        await look(page, f"console/{size}-{language}/{name}", least_px=least_px, is_whole_page=True)


@pytest.mark.parametrize("language", ["nn", "en"])
async def test_a_tablet_is_paired_by_its_code(town_hall: TownHall, language: str) -> None:
    hub = town_hall.hub
    tablet = await town_hall.chromium.tab("tablet")
    await tablet.goto(f"{hub.settings.web.address}/kiosk")
    code = await tablet.locator("[data-code]").get_attribute("data-code")
    assert code is not None
    await expect(tablet.locator("img")).to_be_visible()
    await look(tablet, "kiosk/tablet-nn/20-pairing", least_px=KIOSK_PX)

    console = await town_hall.console("/pair", "it", size="phone")
    await console.locator(f".languages button[value={language}]").click()
    await looked_at(console, "pair", language)
    await console.locator("#code").fill("CCCCCC")
    await console.locator("form.stack button").click()
    await expect(console.locator("[role=alert]")).to_be_visible()
    await looked_at(console, "pair-unknown", language)
    await console.locator("#code").fill(f"{code[:3].lower()} {code[3:].lower()}")
    await console.locator("form.stack button").click()
    await expect(console.locator("#kind")).to_have_value("kiosk")
    await console.locator("#name").fill("Nettbrett ved heisen")
    await console.locator("#floor").fill("1. etasje")
    await looked_at(console, "pair-confirm", language)
    await console.locator("form.stack button").click()
    await expect(tablet.locator("body")).to_have_attribute("data-state", "language", timeout=10_000)
    assert "secret" not in tablet.url
    device = hub.devices.require("kiosk-1")
    assert (device.name, device.place) == ("Nettbrett ved heisen", "1. etasje")


async def test_a_screen_is_paired_by_scanning(town_hall: TownHall) -> None:
    """The picture leads a phone through the login to the page with the code in it."""
    hub = town_hall.hub
    screen = await town_hall.chromium.tab("wall")
    async with screen.expect_response("**/pair") as offered:
        await screen.goto(f"{hub.settings.web.address}/screen")
    address = (await (await offered.value).json())["address"]
    await expect(screen.locator("[data-code]")).to_be_visible()
    await look(screen, "screen/wall-nn/20-pairing")
    path = f"{urlsplit(address).path}?{urlsplit(address).query}"
    phone = await town_hall.console(path, "it", size="phone")
    await phone.locator("#name").fill("Storskjerm i gangen")
    await phone.locator("form.stack button").click()
    await expect(screen.locator("body")).to_have_attribute("data-state", "playing", timeout=10_000)


async def test_a_tablet_that_is_told_to_shows_a_code_again(town_hall: TownHall) -> None:
    tablet = await town_hall.kiosk()
    await expect(tablet.locator("body")).to_have_attribute("data-state", "language")
    await tablet.goto(f"{town_hall.hub.settings.web.address}/kiosk#pair")
    await expect(tablet.locator("[data-code]")).to_be_visible()
