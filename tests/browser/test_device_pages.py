"""The pages of devices with real ones on them: looked at on phone and tablet, and current by themselves."""

from datetime import UTC, datetime

import pytest
from playwright.async_api import expect

from devices.contract.alive import Heartbeat, Status
from hub.devices.registry import Place
from tests.browser.conftest import TownHall
from tests.browser.test_pairing import looked_at
from tests.conftest import until
from tests.kiosk_client import KioskClient

DEVICES = [
    ("kiosk-1", "kiosk", "Nettbrett ved inngangen", Place("", "Rådhuset", "1. etasje", "Inngangspartiet")),
    ("kiosk-2", "kiosk", "Nettbrett ved heisen", Place("", "Rådhuset", "2. etasje", "")),
    ("screen-1", "screen", "Storskjerm i gangen", Place("", "Rådhuset", "1. etasje", "Inngangspartiet")),
    ("door-1", "door", "Varemottak", Place("", "Helsehuset", "Kjellar", "Bak fyringsrommet, ved lasterampa")),
]


@pytest.mark.parametrize("language", ["nn", "en"])
async def test_the_pages_of_devices(town_hall: TownHall, language: str) -> None:
    hub = town_hall.hub
    enrolments = {one[0]: await hub.enroller.enrol(*one, "test") for one in DEVICES}
    page = await town_hall.console("/devices", "it", size="phone")
    await page.locator(f".languages button[value={language}]").click()
    await expect(page.locator("html")).to_have_attribute("lang", language)
    async with page.expect_response("**/live"):  # it hears of changes from here on
        await page.reload()
    async with (
        KioskClient(enrolments["kiosk-1"]).connected() as first,
        KioskClient(enrolments["kiosk-2"]).connected() as second,
    ):
        beat = Heartbeat(sent_at=datetime.now(UTC), version="0.2.0", uptime_seconds=93_600, battery_percent=87)
        first.say("heartbeat", beat.model_copy(update={"signal_dbm": -61}))
        second.say("heartbeat", beat.model_copy(update={"battery_percent": 9, "outbox": 2}))
        await expect(page.locator("#device-kiosk-2 .ds-tag[data-color=success]")).to_be_visible()
        second.say("status", Status(online=False), retain=True)
        await expect(page.locator("#device-kiosk-2 .ds-tag[data-color=danger]")).to_be_visible()
        await expect(page.locator(".place").first).to_contain_text("2. etasje")  # what is away comes first
        await looked_at(page, "devices", language)

        await until(lambda: hub.devices.absences.since("kiosk-2"))
        second.say("heartbeat", beat.model_copy(update={"battery_percent": 9, "outbox": 2}))
        await page.locator("#device-kiosk-2 a").click()
        await expect(page.locator("#device .ds-tag[data-color=success]")).to_be_visible()
        second.say("status", Status(online=False), retain=True)
        await expect(page.locator("#device .ds-tag[data-color=danger]")).to_be_visible()
        await expect(page.locator("#absences tbody tr").first).to_be_visible()
        await page.locator("summary").click()
        await looked_at(page, "device", language)

        async with page.expect_download() as download:
            await page.locator("a[download]").click()
        assert (await download.value).suggested_filename == "kiosk-2-diagnostics.json"
        await page.locator("#name").fill("Nettbrett ved trappa")
        await page.locator("form.stack button").click()
        await expect(page.locator("h1")).to_have_text("Nettbrett ved trappa")
        await page.goto(f"{hub.settings.web.address}/devices?q=trappa")
        await expect(page.locator(".device")).to_have_count(1)
