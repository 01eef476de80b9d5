"""Found devices on the console: they appear, live; their numbers are drawn; they are told what may be told."""

import json
from pathlib import Path

from playwright.async_api import expect

from tests.browser.conftest import TownHall
from tests.browser.looks import look
from tests.conftest import until
from tests.entities.conftest import announce, say

PORT = {
    "ids": "port",
    "name": "Port i bakgarden",
    "mf": "Nuki",
    "mdl": "Smart Lock Pro",
    "sa": "Bakgard",
    "sw": "3.2.1",
}
ROOM = {"ids": "rom2", "name": "Møterom 2", "mf": "Aqara", "mdl": "WSDCGQ11LM"}
BIN = {"ids": "skuff", "name": "Skuffesensor", "mf": "Aqara", "mdl": "MCCGQ11LM"}


async def test_found_devices_appear_and_can_be_told(town_hall: TownHall) -> None:
    hub = town_hall.hub
    page = await town_hall.console("/found", "it", "caretaker", size="phone")
    await expect(page.locator("#found-list")).to_contain_text("Ingen enno")

    lock = announce(hub, "lock", "port", name=None, cmd_t="port/set", stat_t="port/s", avty_t="port/there", dev=PORT)
    warmth = announce(
        hub,
        "sensor",
        "rom2_t",
        dev_cla="temperature",
        unit_of_meas="°C",
        stat_t="rom2",
        val_tpl="{{ value_json.t }}",
        dev=ROOM,
    )
    announce(hub, "binary_sensor", "skuff", dev_cla="door", name=None, stat_t="skuff", dev=BIN)
    announce(hub, "climate", "pumpe", name="Varmepumpe", mode_cmd_t="p", dev=ROOM)
    say(hub, "homeassistant/sensor/feil/config", {"name": "x", "unit_of_meas": "%"})
    await until(lambda: len(hub.entities) == 4)
    say(hub, "port/there", "online")
    say(hub, "port/s", "LOCKED")
    say(hub, "skuff", "ON")
    for warm in range(180, 240):
        say(hub, "rom2", json.dumps({"t": warm / 10}), retain=False)
    await expect(page.locator("#found-rom2")).to_contain_text("23,9 °C")  # live, without a reload
    await expect(page.locator("#found-port")).to_contain_text("låst")
    await expect(page.locator("#found-skuff")).to_contain_text("open")
    await expect(page.locator("#mistakes")).to_contain_text("state_topic: field required")
    await look(page, "found/found-phone-nn", least_px=44, is_whole_page=True)

    await until(lambda: hub.history.written > 60)
    await page.locator("#found-rom2 a").click()
    await expect(page.locator(".chart canvas")).to_be_visible()
    await expect(page.locator("[id='entity-climate.pumpe']")).to_contain_text("kjenner ikkje denne typen")
    await look(page, "found/found-device-phone-nn", least_px=44, is_whole_page=True)
    assert hub.entities.get(warmth)

    await page.locator("summary", has_text="Endre stad").click()
    await page.locator("#floor").fill("2. etasje")
    await page.locator("#zone").fill("Fløy B")
    await page.locator("main .stack button").click()
    await expect(page.locator("#found-device")).to_contain_text("2. etasje, Fløy B")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Last ned diagnose").click()
    told = json.loads(Path(await (await downloading.value).path()).read_text())
    assert [one["id"] for one in told["entities"]] == [warmth, "climate.pumpe"]
    assert told["entities"][0]["config"]["unit_of_measurement"] == "°C"

    await page.goto(f"{hub.settings.web.address}/found/port")
    place = page.locator(f"[id='entity-{lock}']")
    await expect(place).to_contain_text("Ingen har lov til å styre det enno.")
    await place.locator("details summary", has_text="Innstillingar").click()
    await place.get_by_role("button", name="La folk opne det herifrå").click()
    await place.locator("input[name=reason]").fill("varelevering")
    await place.get_by_role("button", name="Lås opp").click()
    await page.wait_for_load_state()
    say(hub, "port/s", "UNLOCKED")
    await expect(place.locator(".says-now b")).to_have_text("ulåst")
    await look(page, "found/found-lock-phone-nn", least_px=44, is_whole_page=True)
    say(hub, "port/there", "offline")
    await expect(place).to_contain_text("utan kontakt")
    town_hall.chromium.excuse("409")
    await place.get_by_role("button", name="Lås", exact=True).click()
    await expect(place.locator("[role=alert]")).to_contain_text("Det fekk ikkje beskjed")
