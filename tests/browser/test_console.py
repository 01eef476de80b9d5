"""The console: who may see what, and that what is done on one page is seen on the others at once."""

from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from playwright.async_api import expect

from hub.hooks.specifications import Role
from tests.browser.chromium import Size
from tests.browser.conftest import PASSWORD, TownHall, fill_in_login
from tests.browser.looks import PICTURES
from tests.browser.visitor import register

PAGES: dict[str, set[Role]] = {
    "/visits": {"front_line"},
    "/visits/evacuation": {"front_line", "caretaker"},
    "/people": {"front_line", "it"},
    "/screens": {"front_line", "it"},
    "/doors": {"front_line", "caretaker", "it"},
    "/devices": {"caretaker", "it"},
    "/plugins": {"it"},
    "/tokens": {"it"},
    "/audit": {"it"},
}
ROLES: tuple[Role, ...] = ("front_line", "caretaker", "it")


async def test_the_wrong_password_says_so_and_the_right_one_leads_to_the_first_page(town_hall: TownHall) -> None:
    town_hall.chromium.excuse("403")
    await town_hall.hub.accounts.put("skranke", PASSWORD, frozenset({"front_line"}), "test")
    page = await town_hall.chromium.tab("desk")
    await page.goto(town_hall.hub.settings.web.address)
    await fill_in_login(page, "skranke", "feil-passord-her")
    await expect(page.locator("[role=alert]")).to_contain_text("ikkje rett")
    await expect(page.locator("#name")).to_have_value("skranke")
    await fill_in_login(page, "skranke", PASSWORD)
    menu = page.locator("nav a")
    await expect(menu.first).to_have_attribute("aria-current", "page")
    assert urlsplit(page.url).path == await menu.first.get_attribute("href")
    await page.locator(".who form[action='/logout'] button").click()
    await page.goto(f"{town_hall.hub.settings.web.address}/visits")
    assert urlsplit(page.url).path == "/login"


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_sees_its_pages_and_no_others(town_hall: TownHall, role: Role) -> None:
    town_hall.chromium.excuse("403")
    page = await town_hall.console("/doors", role)
    offered = [await one.get_attribute("href") for one in await page.locator("nav a").all()]
    for path, roles in PAGES.items():
        answer = await page.goto(f"{town_hall.hub.settings.web.address}{path}")
        assert answer is not None
        assert answer.status == (200 if role in roles else 403), path
        if path != "/visits/evacuation":  # a button on Visits; the caretaker's way to it is below
            assert (path in offered) is (role in roles), path


async def test_the_language_is_changed_and_stays(town_hall: TownHall) -> None:
    page = await town_hall.console("/visits", "front_line")
    await expect(page.locator("h1")).to_have_text("Besøk i dag")
    await page.locator(".languages [value=en]").click()
    await expect(page.locator("h1")).to_have_text("Visits today")
    await page.locator("nav a[href='/people']").click()
    await expect(page.locator("h1")).to_have_text("People")
    await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_a_visitor_is_checked_out_and_back_in(town_hall: TownHall) -> None:
    await register(await town_hall.kiosk())
    page = await town_hall.console("/visits", "front_line")
    colleague = await town_hall.console("/visits", "front_line")
    await page.get_by_role("button", name="Registrer ut").click()
    await expect(page.locator("#visit-list")).to_contain_text("Har gått i dag: 1")
    await expect(colleague.locator("#visit-list")).to_contain_text("Har gått i dag: 1", timeout=1_500)
    await colleague.get_by_role("button", name="Angre").click()
    await expect(page.locator("#visit-list")).to_contain_text("I bygget: 1", timeout=1_500)


async def test_the_desk_registers_a_visitor_who_does_not_use_the_kiosk(town_hall: TownHall) -> None:
    page = await town_hall.console("/visits", "front_line")
    await page.get_by_role("link", name="Registrer ein gjest").click()
    await expect(page.locator("#q")).to_be_focused()
    await page.locator("#visitor").fill("Gro Gjest")
    await page.locator("#q").press_sequentially("kar", delay=20)
    await expect(page.locator("#hosts label")).to_have_count(2)
    await expect(page.locator("#visitor")).to_have_value("Gro Gjest")  # whoever searches again has not to type again
    await page.get_by_label("Kari Nordmann").check()
    await page.locator("#company").fill("Fjord AS")
    PICTURES.mkdir(exist_ok=True)
    for name, size in (("tablet", (1024, 768)), ("phone", (390, 844))):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await page.screenshot(path=PICTURES / f"console-new-visit-{name}.png", full_page=True)
    await page.get_by_role("button", name="Registrer, og sei frå til verten").click()
    await expect(page.locator("#visit-list tbody tr").first).to_contain_text("Gro Gjest")
    await expect(page.locator("#visit-list")).to_contain_text("Kari Nordmann")
    await page.screenshot(path=PICTURES / "console-visits-with-desk.png", full_page=True)


async def test_people_are_found_while_one_types(town_hall: TownHall) -> None:
    page = await town_hall.console("/people", "front_line")
    await expect(page.locator("tr[id^=person-]")).to_have_count(4)
    await page.locator("#q").press_sequentially("park", delay=20)
    await expect(page.locator("tr[id^=person-]")).to_have_count(1)
    await expect(page.locator("tr[id^=person-]")).to_contain_text("parkeringsløyve")
    await expect(page.locator("#q")).to_be_focused()
    button = page.locator("tr[id^=person-] button")
    was = await button.inner_text()
    await button.click()
    await expect(button).not_to_have_text(was)
    await expect(page.locator("#q")).to_have_value("park")  # whoever marks somebody keeps their search


async def test_a_new_tablet_gets_a_link_that_works_and_is_shut_out_again(town_hall: TownHall) -> None:
    page = await town_hall.console("/devices", "it")
    await page.locator("summary").click()
    await page.locator("#kind").select_option("kiosk")
    await page.locator("#new-name").fill("Nettbrett ved heisen")
    await page.locator("#new-place").fill("2. etasje")
    await page.get_by_role("button", name="Lag ei lenkje").click()
    qr = page.locator(".enrolment img")
    assert await qr.evaluate("one => one.complete && one.naturalWidth > 100")
    link = str(await page.locator("#enrolment-link").get_attribute("href"))
    await page.goto(f"{town_hall.hub.settings.web.address}/devices")
    assert "secret=" not in await page.content()

    tablet = await town_hall.chromium.tab()
    await tablet.goto(link)
    await expect(tablet.locator("body")).to_have_attribute("data-state", "language")
    row = page.locator("#device-kiosk-1")
    await expect(row).to_contain_text("på nett")
    await row.locator("a").click()

    page.once("dialog", lambda dialog: dialog.dismiss())
    await page.get_by_role("button", name="Sperr").click()
    await expect(page.locator("#device")).to_contain_text("på nett")
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Sperr").click()
    await page.wait_for_url("**/devices")
    await expect(row).to_have_count(0)
    town_hall.chromium.excuse("WebSocket connection")
    await tablet.goto(link)
    assert town_hall.hub.devices.get("kiosk-1") is None


async def test_plugins_tell_how_they_are_and_what_they_keep(town_hall: TownHall) -> None:
    page = await town_hall.console("/plugins", "it")
    for name in ("directory", "checkin", "notify", "signage", "locks"):
        await expect(page.locator(f"#plugin-{name} .ds-tag")).to_have_text("i drift")
    await expect(page.locator("#plugin-checkin")).to_contain_text("Personopplysningar")


async def test_the_audit_log_checks_its_chain(town_hall: TownHall) -> None:
    page = await town_hall.console("/audit", "it")
    await expect(page.locator("tbody")).to_contain_text("account.put")
    await page.get_by_role("button", name="Kontroller kjeda").click()
    await expect(page.locator(".ds-alert")).to_contain_text("Kjeda er heil")


async def test_the_evacuation_list_is_right_and_is_printed_without_the_menu(town_hall: TownHall) -> None:
    await register(await town_hall.kiosk(), "Ola Besøk", "Fjord AS")
    page = await town_hall.console("/visits/evacuation", "caretaker")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody")).to_contain_text("Ola Besøk (Fjord AS)")
    await page.emulate_media(media="print")
    await expect(page.locator(".top")).to_be_hidden()
    await expect(page.locator("[data-print]")).to_be_hidden()
    PICTURES.mkdir(exist_ok=True)
    await page.screenshot(path=PICTURES / "console-evacuation-print.png")


async def test_another_sites_page_cannot_act_in_our_name(town_hall: TownHall, tmp_path: Path) -> None:
    """A form on another origin (another port is one), sent by a browser that is logged in here."""
    town_hall.chromium.excuse("403")
    page = await town_hall.console("/people", "front_line")
    address = town_hall.hub.settings.web.address
    target = f"{address}/screens/notices"
    form = f'<form method=post action="{target}"><input name=title_nn value=Fusk><button>x</button></form>'
    evil = address.replace("localhost", "127.0.0.1")
    await page.route(f"{evil}/evil", lambda route: route.fulfill(body=form, content_type="text/html"))
    await page.goto(f"{evil}/evil")
    async with page.expect_response(f"{address}/screens/notices") as answered:
        await page.locator("button").click()
    assert (await answered.value).status == 403
    assert await town_hall.hub.host.plugins["signage"].instance.signage.notices() == []
    async with aiohttp.ClientSession(headers={"Origin": "https://evil.example"}) as session:
        answer = await session.post(f"{address}/login", data={"name": "x", "password": "y"})
        assert answer.status == 403


async def test_what_did_not_work_is_said_on_a_page_in_the_readers_language(town_hall: TownHall) -> None:
    town_hall.chromium.excuse("40[34]")
    page = await town_hall.console("/doors", "caretaker")
    await page.goto(f"{town_hall.hub.settings.web.address}/audit")
    await expect(page.locator("main")).to_contain_text("Du er logga inn som vaktmeister")
    await page.goto(f"{town_hall.hub.settings.web.address}/ingenting")
    await expect(page.locator("h1")).to_have_text("Sida finst ikkje")
    await page.locator("main a").click()
    await expect(page.locator("h1")).to_have_text("Dører")


async def test_a_token_is_made_used_and_revoked(town_hall: TownHall) -> None:
    page = await town_hall.console("/tokens", "it", "front_line")
    await page.locator("#token-name").fill("Kalender")
    await page.locator("[value='visits:read']").check()
    await page.locator("main form button").last.click()
    secret = await page.locator("#token-secret").inner_text()
    row = page.locator("tbody tr")
    await expect(row).to_contain_text("aldri")
    address = f"{town_hall.hub.settings.web.address}/api/v1/visits"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {secret}"}) as program:
        assert (await program.get(address)).status == 200
        await page.goto(f"{town_hall.hub.settings.web.address}/tokens")
        await expect(row).not_to_contain_text("aldri")
        await expect(page.locator("#token-secret")).to_have_count(0)
        page.on("dialog", lambda dialog: dialog.accept())
        await row.locator("button").click()
        await expect(row).to_contain_text("Ingen API-nøklar")
        assert (await program.get(address)).status == 401


async def test_it_alone_gives_no_token_that_reads_visits(town_hall: TownHall) -> None:
    page = await town_hall.console("/tokens", "it")
    await expect(page.locator("[value='devices:read']")).to_have_count(1)
    await expect(page.locator("[value='visits:read']")).to_have_count(0)


@pytest.mark.parametrize(("size", "most_px"), [("tablet", 190), ("desk", 190), ("wall", 100)])
async def test_the_top_leaves_the_page_to_the_page(town_hall: TownHall, size: Size, most_px: int) -> None:
    page = await town_hall.console("/devices", "it", "front_line", "caretaker", size=size)
    box = await page.locator("header.top").bounding_box()
    assert box is not None
    assert box["height"] <= most_px
