"""The caretaker's phone, and a door that is really there: the controller with a simulated relay."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import TownHall
from tests.conftest import until
from tests.door.door_process import DoorProcess


@pytest_asyncio.fixture
async def door(town_hall: TownHall, tmp_path: Path) -> AsyncIterator[DoorProcess]:
    hub = town_hall.hub
    (tmp_path / "door").mkdir()
    process = DoorProcess(tmp_path / "door", await hub.enrol("door-1", "door", "Hovudinngang", "1. etasje", "test"))
    await process.start()
    plugin = hub.host.plugins["locks"].instance
    await until(lambda: plugin.standing.of("door-1").lock == "locked")
    yield process
    await process.stop()


async def test_a_door_is_opened_from_the_phone_and_both_pages_see_it(town_hall: TownHall, door: DoorProcess) -> None:
    phone = await town_hall.console("/doors", "caretaker", size="small phone")
    desk = await town_hall.console("/doors", "it")
    on_phone, on_desk = phone.locator("#door-door-1"), desk.locator("#door-door-1")
    await expect(on_phone).to_contain_text("Låst")
    assert await on_desk.locator("button").count() == 0  # IT sees doors and opens none
    await on_phone.locator("button").click()
    await expect(on_desk).to_have_attribute("data-lock", "unlocked", timeout=2_000)
    await expect(on_phone).to_have_attribute("data-lock", "unlocked", timeout=2_000)
    await expect(on_phone.locator(".last")).to_contain_text("opna")
    assert door.pulses() == 1
    await expect(on_desk).to_have_attribute("data-lock", "locked", timeout=8_000)
    await expect(on_phone).to_contain_text("Låst")
    await expect(desk.locator(".commands li")).to_have_count(1)
    await expect(desk.locator(".commands")).to_contain_text("vaktmeister")


async def test_a_door_that_is_gone_is_not_shown_as_locked(town_hall: TownHall, door: DoorProcess) -> None:
    phone = await town_hall.console("/doors", "caretaker", size="small phone")
    card = phone.locator("#door-door-1")
    await expect(card).to_contain_text("Låst")
    await door.stop()
    await expect(card).to_contain_text("ikkje kontakt")


async def test_a_forced_door_is_reported_at_once(town_hall: TownHall, door: DoorProcess) -> None:
    desk = await town_hall.console("/doors", "caretaker")
    door.say("force_open")
    await expect(desk.locator("#door-door-1")).to_contain_text("står open", timeout=2_000)
    await expect(desk.locator(".reports")).to_contain_text("broten opp", timeout=2_000)
