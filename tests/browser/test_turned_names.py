"""Text that turns the direction of what follows is shown as what it is, also on kiosks and screens."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from plugins.signage.models import make_notice
from tests.browser.conftest import TownHall
from tests.browser.visitor import choose_host


@pytest.fixture
def turned_colleague(settings: dict[str, Any], tmp_path: Path) -> None:
    """Ask for it before the hub."""
    del settings
    with (tmp_path / "people.ldif").open("a") as file:
        file.write(
            "\ndn: uid=kaare,dc=test\nobjectClass: inetOrgPerson\nuid: kaare\ncn: Kåre \u202egnp.exe\nsn: Hacker\n"
            "ou: Innbyggjarservice\nmail: kaare@fjordvik.example\nemployeeType: active\n"
        )


async def test_a_turned_name_or_notice_is_shown_as_what_it_is(turned_colleague: None, town_hall: TownHall) -> None:
    signage = town_hall.hub.host.plugins["signage"].instance.signage
    await signage.put_up(make_notice("warning", {"nn": "Ope \u2067hus"}, {"nn": "\u202enemoklev"}), "test")
    screen = await town_hall.screen()
    await expect(screen.locator(".board")).to_contain_text("Kåre [U+202E]gnp.exe")
    await expect(screen.locator(".notice h2")).to_have_text("Ope [U+2067]hus")
    await expect(screen.locator(".notice .text")).to_have_text("[U+202E]nemoklev")
    kiosk = await town_hall.kiosk()
    await choose_host(kiosk, "kåre", "Kåre [U+202E]gnp.exe")
    await expect(kiosk.locator(".lead")).to_have_text("Du skal møte Kåre [U+202E]gnp.exe.")
