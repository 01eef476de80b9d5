"""Doors on a floor plan: uploaded, placed by pointer and by keyboard, live, and a hostile picture that runs nothing."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from hub.devices.registry import Place
from hub.plugin import MistakeError
from plugins.locks.plans import size_of
from tests.browser.conftest import TownHall
from tests.browser.looks import CONSOLE_PHONE_PX, look
from tests.conftest import until_async
from tests.door.door_process import DoorProcess

PLAN = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 500">
<rect x="20" y="20" width="760" height="460" fill="none" stroke="#333" stroke-width="8"/>
<path d="M300 20 v180 M300 300 v180 M300 250 h480" stroke="#333" stroke-width="6" fill="none"/>
<script>document.documentElement.dataset.ran = "yes"; parent.document.title = "ran"</script>
</svg>"""


async def placed(town_hall: TownHall) -> tuple[float, float]:
    found = await town_hall.hub.host.plugins["locks"].instance.plans.placed()
    return (found[0].x, found[0].y) if found else (0.0, 0.0)


async def uploaded(page: Page, picture: str) -> None:
    await page.locator("#name").fill("1. etasje")
    await page.locator("#picture").set_input_files(
        {"name": "plan.svg", "mimeType": "image/svg+xml", "buffer": picture.encode()}
    )
    await page.get_by_role("button", name="Last opp").click()


async def test_doors_are_placed_and_seen_live(town_hall: TownHall, tmp_path: Path) -> None:
    hub = town_hall.hub
    (tmp_path / "door").mkdir()
    where = Place(floor="1. etasje")
    process = DoorProcess(tmp_path / "door", await hub.enroller.enrol("door-1", "door", "Hovudinngang", where, "test"))
    await process.start()
    try:
        page = await town_hall.console("/plans", "caretaker")
        await uploaded(page, PLAN)
        await page.get_by_role("button", name="Plasser Hovudinngang").click()
        marker = page.locator("[data-door=door-1]")
        assert await placed(town_hall) == (400, 250)
        box = await marker.locator(".spot").bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        await page.mouse.down()
        await page.mouse.move(box["x"] - 100, box["y"] - 60, steps=5)
        await page.mouse.up()
        await until_async(lambda: _is(town_hall, lambda x, y: x < 390 and y < 240))
        x, y = await placed(town_hall)
        await marker.focus()
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Shift+ArrowDown")
        await until_async(lambda: _is(town_hall, lambda now_x, now_y: (round(now_x - x), round(now_y - y)) == (4, 40)))
        await look(page, "console/desk-nn/plan-edited", is_whole_page=True)
        await page.get_by_role("link", name="Ferdig").click()
        phone = await town_hall.console("/plans", "caretaker", size="small phone")
        await phone.locator(".plans a").click()
        await expect(phone.locator("[data-door=door-1]")).to_have_attribute("data-lock", "locked")
        await look(phone, "console/small-phone-nn/plan", least_px=CONSOLE_PHONE_PX, is_whole_page=True)
        await hub.host.plugins["locks"].instance.locks.pulse("door-1", "test")
        await expect(phone.locator("[data-door=door-1]")).to_have_attribute("data-lock", "unlocked", timeout=2_000)
        await look(page, "console/desk-nn/plan", is_whole_page=True)
        assert await page.title() != "ran"
        await page.goto(f"{hub.settings.web.address}/plans/1/picture.svg")
        assert await page.evaluate("document.documentElement.dataset.ran ?? null") is None
        town_hall.chromium.excuse("Content Security Policy|sandboxed")
    finally:
        await process.stop()


async def _is(town_hall: TownHall, condition: object) -> bool:
    assert callable(condition)
    return bool(condition(*await placed(town_hall)))


async def test_what_is_no_plan_says_why(town_hall: TownHall) -> None:
    town_hall.chromium.excuse("422")
    page = await town_hall.console("/plans", "caretaker")
    await uploaded(page, "<html>")
    await expect(page.locator("[role=alert]")).to_contain_text("kan ikkje vere ei planteikning")


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ('viewBox="0 0 800 500"', (800, 500)),
        ('viewBox="-10,-10,80.5,50"', (80.5, 50)),
        ('width="21cm" height="297mm"', (21, 297)),
        ('width="100%" height="100%"', None),
        ('viewBox="0 0 0 5"', None),
        ('viewBox="0 0 1e9 5"', None),
        ("", None),
    ],
)
def test_the_size_of_a_picture(head: str, size: tuple[float, float] | None) -> None:
    picture = f'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" {head}><g/></svg>'.encode()
    if size is None:
        with pytest.raises(MistakeError):
            size_of(picture)
    else:
        assert size_of(picture) == size


@pytest.mark.parametrize(
    "picture",
    [
        b"",
        b"\x89PNG",
        b"<svg/>",
        b"<svg",
        "<svg>ø</svg>".encode("latin-1"),
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><svg/>",
        b"x" * 900_001,
    ],
)
def test_other_files_are_refused(picture: bytes) -> None:
    with pytest.raises(MistakeError):
        size_of(picture)
