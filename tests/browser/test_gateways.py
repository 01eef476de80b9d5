"""The page on which other systems get their accounts: used, looked at, on phone and tablet."""

import pytest
from playwright.async_api import expect

from devices.wire.connection import Address
from tests.accounts.broker_client import is_refused
from tests.browser.chromium import SIZES
from tests.browser.conftest import TownHall
from tests.browser.looks import CONSOLE_PHONE_PX, look


@pytest.mark.parametrize("language", ["nn", "en"])
async def test_a_gateway_gets_an_account_and_loses_it(town_hall: TownHall, language: str) -> None:
    hub = town_hall.hub
    page = await town_hall.console("/accounts", "it", size="phone")
    await page.locator(f".languages button[value={language}]").click()
    await page.locator("#name").fill("zigbee2mqtt")
    await page.locator("#filters").fill("kommunevert/#")
    town_hall.chromium.excuse("400")
    await page.locator("form.stack button").click()
    await expect(page.locator("[role=alert]")).to_contain_text("kommunevert/#")
    await page.locator("#filters").fill("zigbee2mqtt/#\nbridge/+/state")
    await page.locator("form.stack button").click()
    secret = await page.locator("#secret").inner_text()
    address = Address("127.0.0.1", hub.settings.broker.port, "zigbee2mqtt", secret)
    assert not await is_refused(address)
    for size, least_px in (("phone", CONSOLE_PHONE_PX), ("tablet", None)):
        width, height = SIZES[size]  # type: ignore[index]
        await page.set_viewport_size({"width": width, "height": height})
        await look(page, f"console/{size}-{language}/gateways", least_px=least_px, is_whole_page=True)
    page.on("dialog", lambda dialog: dialog.accept())
    await page.locator("#gateway-zigbee2mqtt button").click()
    await expect(page.locator("#gateway-zigbee2mqtt")).to_have_count(0)
    assert await is_refused(address)
