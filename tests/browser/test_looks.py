"""Every page and state: axe without a finding, targets that a finger hits, and with KOMMUNEVERT_PICTURES=1 a picture."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from devices.contract.door import KIND as DOOR
from hub.configuration.shipped import shipped
from hub.hub import Hub
from plugins.signage.models import make_notice
from tests.browser.chromium import SIZES, Size
from tests.browser.conftest import TownHall
from tests.browser.looks import CONSOLE_PHONE_PX, KIOSK_PX, look
from tests.browser.visitor import check_out, choose_language, number_shown
from tests.conftest import until, until_async
from tests.door.door_process import DoorProcess
from tests.test_notify import link_in

ON_TABLET = ("doors", "door", "visits", "plugins")
"""Between desk and phone little changes but the menu."""
DOOR_PAGES = (
    ("/doors/door-1", "door"),
    ("/doors/door-1/settings", "door-settings"),
    ("/access?door=door-1", "access"),
    ("/access/rules/new", "rule"),
    ("/keys", "keys"),
    ("/passages", "passages"),
    ("/passes", "passes"),
    ("/hub-keys", "hub-keys"),
)
OPEN_MORNING = datetime(2026, 11, 24, 10, 15, tzinfo=ZoneInfo("Europe/Oslo"))


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    """With the demo's people: a wall with four names on it shows nothing."""
    directory = settings["plugins"]["directory"]
    directory["source"]["file"] = str(shipped("demo/employees.ldif"))
    directory["protected_units"] = ["Helsestasjon", "Psykisk helse", "Barnevern", "NAV Fjordvik", "Legekontoret"]
    directory["board_units"] = ["Innbyggjarservice", "Stab"]
    return settings


async def most_are_in(hub: Hub) -> None:
    """By their own word: nobody is shown as in without one."""
    plugin = hub.host.plugins["directory"].instance
    for number, one in enumerate(plugin.people.board()):
        employee = plugin.people.get(one.person.id)
        await plugin.directory.set_presence(employee, is_in=number % 4 != 3, actor="test")


def somebody(hub: Hub) -> str:
    """A host whom the kiosk finds, by the letters that find them alone."""
    people = hub.host.plugins["directory"].instance.people
    return next(one.name for one in people.search("innbyggjarservice") if one.mail)


@pytest.mark.parametrize(
    ("language", "sizes"), [("nn", ("tablet", "phone", "wall")), ("en", ("phone",)), ("ar", ("tablet",))]
)
async def test_each_state_of_the_kiosk(town_hall: TownHall, language: str, sizes: tuple[Size, ...]) -> None:
    hub = town_hall.hub
    host = somebody(hub)
    kiosk = await town_hall.kiosk(sizes[0], has_clock=True)

    async def seen(state: str) -> None:
        for size in sizes:
            await resize(kiosk, size)
            await look(kiosk, f"kiosk/{size}-{language}/{state}", least_px=KIOSK_PX)

    await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
    await seen("01-language")
    await choose_language(kiosk, language)
    await seen("02-start")
    await kiosk.locator("[data-track=directions]").click()
    await seen("03-directions")
    await kiosk.locator("[data-signpost=psychiatric-health]").click()
    await seen("04-way")
    await kiosk.locator("[data-action=start_over]").click()

    await choose_language(kiosk, language)
    await kiosk.locator("[data-track=search]").click()
    await seen("05-search")
    await kiosk.locator("#host").fill("xyzzy")
    await expect(kiosk.locator("[data-result=found]")).to_be_visible()
    await seen("06-nobody")
    await kiosk.locator("#host").fill(host[:3])
    await expect(kiosk.locator("[data-host]").first).to_be_visible()
    await seen("07-found")
    await kiosk.locator("#host").fill(host)
    await kiosk.locator("[data-host]", has_text=host).click()
    await seen("08-details")
    await kiosk.locator("[data-action=register]").click()
    await expect(kiosk.locator("#name-error")).not_to_be_empty()
    await seen("09-name-missing")
    await kiosk.clock.fast_forward(31_000)
    await expect(kiosk.locator("dialog")).to_be_visible()
    await seen("10-still-there")
    await kiosk.locator("[data-action=more-time]").click()
    await kiosk.locator("#visitor").fill("Ola Besøk")
    await kiosk.locator("[data-action=register]").click()
    number = await number_shown(kiosk)
    await seen("11-registered")
    await until(lambda: town_hall.mail_server.mails)
    phone = await town_hall.chromium.tab("phone")
    await phone.goto(link_in(town_hall.mail_server.mails[0]))
    await phone.locator("button[value=coming]").click()
    await expect(kiosk.locator("[data-answer=coming]")).to_be_visible()
    await seen("12-answered")
    await kiosk.locator("[data-action=done]").click()

    await check_out(kiosk, "0", language)
    await expect(kiosk.locator("#number-error")).not_to_be_empty()
    await seen("13-check-out")
    await kiosk.locator("[data-action=start_over]").click()
    await check_out(kiosk, "0000" if number != "0000" else "1111", language)
    await expect(kiosk.locator("[data-action=again]")).to_be_visible()
    await seen("14-refused")
    await kiosk.locator("[data-action=start_over]").click()
    await check_out(kiosk, number, language)
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "checked-out")
    await seen("15-checked-out")


@pytest.mark.parametrize("size", ["tablet", "phone"])
async def test_a_kiosk_with_nothing_to_offer(town_hall: TownHall, size: Size) -> None:
    town_hall.chromium.excuse("WebSocket connection|503")
    host = somebody(town_hall.hub)
    tablet = await town_hall.chromium.tab(size)
    await tablet.goto(f"{town_hall.hub.settings.web.address}/kiosk")
    await expect(tablet.locator("body")).to_have_attribute("data-state", "unpaired")
    await look(tablet, f"kiosk/{size}-nn/20-unpaired", least_px=KIOSK_PX)
    tablet = await town_hall.chromium.tab(size)
    await tablet.goto((await town_hall.link("kiosk-2", "kiosk")).replace("secret=", "secret=x"))
    await expect(tablet.locator("body")).to_have_attribute("data-state", "out-of-order")
    await look(tablet, f"kiosk/{size}-nn/21-out-of-order", least_px=KIOSK_PX)

    kiosk = await town_hall.kiosk(size, has_clock=True)
    await choose_language(kiosk)
    await kiosk.locator("[data-track=search]").click()
    await kiosk.locator("#host").fill(host)
    await kiosk.locator("[data-host]", has_text=host).click()
    await kiosk.locator("#visitor").fill("Ola Besøk")
    await town_hall.hub.enroller.revoke("kiosk-1", "test")  # its line is cut; what it has to say, it keeps
    await kiosk.context.set_offline(True)
    await kiosk.locator("[data-action=register]").click()
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "sending")
    await look(kiosk, f"kiosk/{size}-nn/22-sending", least_px=KIOSK_PX)
    await kiosk.clock.run_for(6_000)
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "kept")
    await look(kiosk, f"kiosk/{size}-nn/23-kept", least_px=KIOSK_PX)


async def resize(page: Page, size: Size) -> None:
    width, height = SIZES[size]
    await page.set_viewport_size({"width": width, "height": height})


SCREEN_SIZES: tuple[Size, ...] = ("wall", "tablet", "phone")
NOTICES = [
    (
        "danger",
        {
            "nn": "Vatnet er stengt i sentrum",
            "nb": "Vannet er stengt i sentrum",
            "en": "The water is shut off in the centre",
            "ar": "المياه مقطوعة في وسط البلدة",
        },
        {
            "nn": "Det er brot på hovudleidninga. Du kan hente drikkevatn ved skulen. Vatnet kjem att klokka 15.",
            "nb": "Det er brudd på hovedledningen. Du kan hente drikkevann ved skolen. Vannet er tilbake klokka 15.",
            "en": "The main pipe has burst. You can fetch drinking water at the school. It is back at 3 pm.",
            "ar": "انفجر الأنبوب الرئيسي. يمكنك الحصول على مياه الشرب من المدرسة. نتوقع عودة المياه في الساعة الثالثة.",
        },
    ),
    (
        "info",
        {
            "nn": "Ope kveld torsdag",
            "nb": "Åpen kveld torsdag",
            "en": "Open late on Thursday",
            "ar": "نفتح مساء الخميس",
        },
        {
            "nn": "Torsdag har vi ope til klokka 17.",
            "nb": "Torsdag har vi åpent til klokka 17.",
            "en": "On Thursdays we are open until 5 pm.",
            "ar": "نفتح يوم الخميس حتى الساعة الخامسة مساءً.",
        },
    ),
]


TURNS_BY_HAND = """
  let now = 0;
  performance.now = () => now;
  globalThis.turnTo = (ms) => {
    now = ms;
    dispatchEvent(new Event("resize")); // it draws at once
  };
"""


async def test_each_state_of_the_screen(town_hall: TownHall) -> None:
    hub = town_hall.hub
    signage = hub.host.plugins["signage"].instance.signage
    screen = await town_hall.chromium.tab("wall")

    async def seen(state: str) -> None:
        for size in SCREEN_SIZES:
            await resize(screen, size)
            await nothing_is_cut(screen)
            await look(screen, f"screen/{size}-{state}")

    await screen.goto(f"{hub.settings.web.address}/screen")
    await expect(screen.locator("body")).to_have_attribute("data-state", "unpaired")
    await seen("unpaired")
    screen = await town_hall.chromium.tab("wall")
    await screen.clock.set_fixed_time(OPEN_MORNING)
    await screen.add_init_script(TURNS_BY_HAND)  # else it turns its page between two pictures
    await screen.goto(await town_hall.link("screen-1", "screen"))
    await expect(screen.locator("body")).to_have_attribute("data-state", "playing")
    await seen("quiet")
    for severity, place in (("info", ".notice"), ("danger", ".takeover")):
        title, text = next((title, text) for kind, title, text in NOTICES if kind == severity)
        await signage.put_up(make_notice(severity, title, text), "test")
        await expect(screen.locator(place)).to_be_visible()
        shown: set[str] = set()
        for turn in range(16):
            await screen.evaluate("ms => turnTo(ms)", 8_000 * turn + 1_000)
            language = str(await screen.locator("html").get_attribute("lang"))
            if language != "nb" and language not in shown:
                shown.add(language)
                await seen(f"{language}-{severity}")
        assert shown == {"nn", "en", "ar"}


CUT = """parts => parts
  .filter((one) => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1)
  .map((one) => `${one.className}: ${one.scrollWidth}x${one.scrollHeight} in ${one.clientWidth}x${one.clientHeight}`)"""


async def nothing_is_cut(screen: Page) -> None:
    """No part holds more than it shows, as soon as it has been drawn for this size."""
    parts = screen.locator(".notice, .takeover, .hours, .board, .head")

    async def is_whole() -> bool:
        return await parts.evaluate_all(CUT) == []

    await until_async(is_whole, 3)


DOORS = [("door-1", "Hovudinngang", "1. etasje"), ("door-2", "Trapp til 2. etasje", "2. etasje")]
AWAY = ("door-3", "Varemottak med ei namnelinje som er lang", "Kjellar, bak fyringsrommet")


@asynccontextmanager
async def doors(hub: Hub, folder: Path) -> AsyncIterator[list[DoorProcess]]:
    running = []
    for device, name, place in DOORS:
        (folder / device).mkdir()
        running.append(DoorProcess(folder / device, await hub.enroller.enrol(device, DOOR, name, place, "test")))
        await running[-1].start()
    await hub.enroller.enrol(AWAY[0], DOOR, AWAY[1], AWAY[2], "test")
    plugin = hub.host.plugins["locks"].instance
    await until(lambda: all(plugin.states.of(device).lock == "locked" for device, _, _ in DOORS))
    try:
        yield running
    finally:
        for one in running:
            await one.stop()


@pytest.mark.parametrize(("language", "sizes"), [("nn", ("desk", "tablet", "small phone")), ("en", ("phone",))])
async def test_each_page_of_the_console(
    town_hall: TownHall, tmp_path: Path, language: str, sizes: tuple[Size, ...]
) -> None:
    town_hall.chromium.excuse("40[34]")
    hub = town_hall.hub
    address = hub.settings.web.address
    async with doors(hub, tmp_path) as running:
        await visits_and_notices(town_hall)
        page = await town_hall.console("/doors", "it", "front_line", "caretaker", size=sizes[0])
        if language != "nn":
            await page.locator(f".languages [value={language}]").click()

        async def seen(path: str, name: str) -> None:
            if path:
                await page.goto(f"{address}{path}")
            await looked_at(page, name)

        async def looked_at(one: Page, name: str) -> None:
            for size in sizes:
                if size == "tablet" and name not in ON_TABLET:
                    continue
                await resize(one, size)
                least_px = CONSOLE_PHONE_PX if "phone" in size else None
                where = f"console/{size.replace(' ', '-')}-{language}"
                has_axe = size in (sizes[0], sizes[-1])  # the layouts; what lies between looks alike to axe
                await look(one, f"{where}/{name}", least_px=least_px, is_whole_page=True, has_axe=has_axe)

        await page.locator("#door-door-1 button").click()
        await expect(page.locator("#door-door-1 .last")).to_be_visible()
        running[1].say("force_open")
        await expect(page.locator("#door-door-2")).to_have_attribute("data-contact", "open")
        await expect(page.locator(".reports li").first).to_be_visible()
        await seen("", "doors")
        caretaker = await town_hall.console("/doors", "caretaker", size=sizes[0])
        await looked_at(caretaker, "doors-caretaker")
        for path, name in DOOR_PAGES:
            await seen(path, name)
        await seen("/visits", "visits")
        await seen("/visits/new?q=kari", "new-visit")
        await seen("/visits/evacuation", "evacuation")
        await seen("/people?q=park", "people")
        await seen("/screens", "screens")
        await seen("/devices", "devices")
        await page.locator("summary").click()
        await page.locator("#new-name").fill("Nettbrett ved heisen")
        await page.get_by_role("button", name="Lag ei lenkje" if language == "nn" else "Make a link").click()
        await expect(page.locator("#enrolment-link")).to_be_visible()
        await seen("", "devices-link")
        await seen("/plugins", "plugins")
        await seen("/jobs", "jobs")
        await seen("/tokens", "tokens")
        await page.locator("#token-name").fill("Skjerm i kantina")
        await page.locator("[value='screens:read']").check()
        await page.locator("main form button").last.click()
        await expect(page.locator("#token-secret")).to_be_visible()
        await seen("", "token-made")
        await seen("/api#post_devices", "api")
        await page.locator("#post_devices summary").click()
        await seen("", "api-operation")
        await seen("/audit", "audit")
        await seen("/audit?verify=1", "audit-verified")
        await seen("/ingenting", "missing")
        stranger = await town_hall.chromium.tab(sizes[0])
        await stranger.goto(f"{address}/login")
        await looked_at(stranger, "login")
        await stranger.locator("#name").fill("skranke")
        await stranger.locator("#password").fill("feil passord")
        await stranger.locator("main button").click()
        await expect(stranger.locator("[role=alert]")).to_be_visible()
        await looked_at(stranger, "login-wrong")
        await stranger.goto(link_in(town_hall.mail_server.mails[0]))
        await looked_at(stranger, "answer")
        await stranger.locator("button[value=coming]").click()
        await expect(stranger.locator("form button[name=answer]")).to_have_count(0)
        await looked_at(stranger, "answered")


async def visits_and_notices(town_hall: TownHall) -> None:
    """Two visitors, of whom one has left; a notice; a screen and a kiosk."""
    hub = town_hall.hub
    host = somebody(hub)
    await town_hall.link("screen-1", "screen")
    signage = hub.host.plugins["signage"].instance.signage
    for severity, title, text in NOTICES:
        await signage.put_up(make_notice(severity, title, text), "test")
    kiosk = await town_hall.kiosk()
    for visitor, company in (("Ola Besøk", "Fjord og Fjell Entreprenør AS"), ("Åse Gjest", "")):
        await choose_language(kiosk)
        await kiosk.locator("[data-track=search]").click()
        await kiosk.locator("#host").fill(host)
        await kiosk.locator("[data-host]", has_text=host).click()
        await kiosk.locator("#visitor").fill(visitor)
        await kiosk.locator("#company").fill(company)
        await kiosk.locator("[data-action=register]").click()
        number = await number_shown(kiosk)
        await kiosk.locator("[data-action=done]").click()
    await check_out(kiosk, number)
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "checked-out")
    await until(lambda: town_hall.mail_server.mails)
