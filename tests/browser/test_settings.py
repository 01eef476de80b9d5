"""The settings of a plugin in a browser: as they are written, with mistakes in the reader's language."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.chromium import Size
from tests.browser.conftest import TownHall
from tests.browser.looks import look


@pytest.mark.parametrize("size", ["phone", "desk"])
async def test_settings_are_shown_as_they_are_written(town_hall: TownHall, size: Size) -> None:
    """The style of pairing codes once wrote YAML in capitals."""
    town_hall.chromium.excuse("422")
    page = await town_hall.console("/plugins/locks/settings", "it", size=size)
    yaml = page.locator("textarea[id=may]")
    await expect(yaml).to_have_css("text-transform", "none")
    await expect(yaml).to_have_css("letter-spacing", "normal")
    await page.locator("#pulse_seconds").fill("99")
    await yaml.fill("- role: sjef")
    await page.locator("[id='quiet_hours.end']").fill("6")
    await page.locator("#alarms_to").fill("ingen")
    await page.get_by_role("button", name="Lagre").click()
    for name, says in {
        "pulse_seconds": r"^Må vere høgst \d+$",
        "may": r"må vere ein av desse: front_line, caretaker, it",
        "quiet_hours.end": r"^Er ikkje noko klokkeslett; skriv timar og minutt, til dømes 06:00$",
        "alarms_to": r"er inga e-postadresse: det manglar namn framfor eller domene bak @",
    }.items():
        field = page.locator(".ds-field", has=page.locator(f"[id='{name}']"))
        await expect(field.locator(".ds-validation-message")).to_have_text(re.compile(says))
    await look(page, f"console/{size}-nn/settings-mistakes")


async def test_a_pairing_code_is_typed_in_capitals(town_hall: TownHall) -> None:
    page = await town_hall.console("/pair", "it")
    await expect(page.locator("#code")).to_have_css("text-transform", "uppercase")
