"""The caretaker's phone, and a door that is really there: the controller with a simulated relay."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Dialog, expect

from tests.browser.conftest import TownHall
from tests.conftest import until
from tests.door.door_process import DoorProcess


@pytest_asyncio.fixture
async def door(town_hall: TownHall, tmp_path: Path) -> AsyncIterator[DoorProcess]:
    hub = town_hall.hub
    (tmp_path / "door").mkdir()
    process = DoorProcess(
        tmp_path / "door", await hub.enroller.enrol("door-1", "door", "Hovudinngang", "1. etasje", "test")
    )
    await process.start()
    plugin = hub.host.plugins["locks"].instance
    await until(lambda: plugin.states.of("door-1").lock == "locked")
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


async def test_enter_in_a_field_opens_no_door_and_loses_no_word(town_hall: TownHall, door: DoorProcess) -> None:
    town_hall.chromium.excuse("422")
    phone = await town_hall.console("/doors/door-1", "caretaker", size="small phone")
    for field, text in (("#reason", "nokon ringjer på"), ("#until", "23:59")):
        await phone.locator(field).fill(text)
        await phone.locator(field).press("Enter")
        await expect(phone.locator("#mistake")).to_contain_text("Trykk på knappen")
        await expect(phone.locator(field)).to_have_value(text)
    assert door.pulses() == 0
    await phone.locator("button", has_text="Lås opp i").click()
    await expect(phone.locator("#timeline")).to_contain_text("nokon ringjer på")
    assert door.pulses() == 1


async def test_at_a_door_that_is_shut_down_it_asks_first(town_hall: TownHall, door: DoorProcess) -> None:
    phone = await town_hall.console("/doors", "caretaker", size="small phone")
    asked = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await (dialog.dismiss() if "likevel" in dialog.message else dialog.accept())

    phone.on("dialog", answer)
    await phone.locator("#why").fill("øving")
    await phone.locator(".shut-down button").click()
    await expect(phone.locator(".lockdown")).to_contain_text("Heile huset er sperra")
    assert asked == ["Vil du sperre no: heile huset?"]
    await phone.locator("#door-door-1 button").click()
    assert asked[1:] == ["Hovudinngang er sperra. Vil du opne likevel?"]
    assert door.pulses() == 0
    await phone.locator(".lockdown input[name=reason]").fill("over")
    await phone.locator(".lockdown button").click()
    await expect(phone.locator(".lockdown")).to_have_count(0)
    await phone.locator("#door-door-1 button").click()
    await expect(phone.locator("#door-door-1 .last")).to_contain_text("opna")
    assert phone.url.endswith("#door-door-1")  # and not at the top of the page
