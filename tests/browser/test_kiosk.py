"""The visitor's twenty seconds, and what nobody may learn from them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Page, expect
from sqlalchemy import select

from devices.wire.connection import Address, Received, Wire
from hub.broker.accounts import mosquitto_hash
from hub.hub import Hub
from hub.store.tables import metadata as kernel_tables
from plugins.checkin.models import Visit
from plugins.checkin.tables import visit as visit_table
from tests.browser.clock import set_clock
from tests.browser.conftest import TownHall
from tests.browser.visitor import check_out, choose_host, choose_language, number_shown, register
from tests.conftest import until, until_async
from tests.mail_server import text_of
from tests.patience import PATIENCE_SECONDS
from tests.test_notify import link_in

OUTBOX = """() => new Promise((resolve) => {
  const opening = indexedDB.open("kommunevert-kiosk");
  opening.onsuccess = () => {
    const all = opening.result.transaction("outbox").objectStore("outbox").getAll();
    all.onsuccess = () => { opening.result.close(); resolve(all.result); };
  };
})"""


async def visits(hub: Hub) -> list[Visit]:
    return list(await hub.host.plugins["checkin"].instance.visits.today())


async def test_from_the_link_to_check_out(town_hall: TownHall) -> None:
    hub, chromium = town_hall.hub, town_hall.chromium
    link = await town_hall.link("kiosk-1", "kiosk")
    console = await town_hall.console("/visits", "front_line")
    kiosk = await chromium.tab()
    await kiosk.goto(link)
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
    await expect(kiosk).to_have_url(
        f"{hub.settings.web.address}/kiosk"
    )  # whoever looks at the address learns no secret

    number = await register(kiosk)
    (visit,) = await visits(hub)
    assert (visit.visitor, visit.host_name, visit.number) == ("Ola Besøk", "Kari Nordmann", number)
    row = console.locator(f"#visit-{visit.id}")
    await expect(row).to_contain_text("Ola Besøk")

    await until(lambda: town_hall.mail_server.mails)
    phone = await chromium.tab("phone")
    await phone.goto(link_in(town_hall.mail_server.mails[0]))
    await expect(phone.locator("main")).to_contain_text("Ola Besøk")
    await expect(row).to_contain_text("Verten har fått beskjed")
    began = asyncio.get_running_loop().time()
    await phone.locator("button[value=five_minutes]").click(no_wait_after=True)
    await expect(kiosk.locator("[data-answer=five_minutes]")).to_contain_text("Kari Nordmann", timeout=1_000)
    await expect(row).to_contain_text("Om fem minutt", timeout=1_000)
    assert asyncio.get_running_loop().time() - began < 1
    await expect(phone.locator("main")).to_contain_text("Takk")

    await kiosk.locator("[data-action=done]").click()
    await check_out(kiosk, number)
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "checked-out")
    await expect(console.locator("#visit-list .quiet")).to_contain_text("Ola Besøk")
    (visit,) = await visits(hub)
    assert visit.left_at is not None


async def test_the_number_is_shown_only_after_the_receipt(town_hall: TownHall) -> None:
    """The broker is stopped in its tracks: the visit is sent, the hub cannot answer."""
    kiosk = await town_hall.kiosk()
    await choose_host(kiosk)
    await kiosk.locator("#visitor").fill("Ola Besøk")
    broker = int((town_hall.hub.settings.data / "broker" / "mosquitto.pid").read_text())
    os.kill(broker, signal.SIGSTOP)
    try:
        await kiosk.locator("[data-action=register]").click()
        await expect(kiosk.locator("body")).to_have_attribute("data-state", "sending")
        assert await visits(town_hall.hub) == []
        assert await kiosk.locator("[data-number]").count() == 0
        (kept,) = await kiosk.evaluate(OUTBOX)
        assert kept["message"]["visitor"] == "Ola Besøk"
    finally:
        os.kill(broker, signal.SIGCONT)
    await number_shown(kiosk)
    assert len(await visits(town_hall.hub)) == 1
    await until_empty(kiosk)


async def until_empty(kiosk: Page) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await kiosk.evaluate(OUTBOX):
            await asyncio.sleep(0.05)


async def test_the_wrong_number_says_so_and_may_be_tried_again(town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk()
    await check_out(kiosk, "0000")
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "refused")
    await kiosk.locator("[data-action=again]").click()
    await kiosk.locator("[data-action=check-out]").click()
    await expect(kiosk.locator("#number-error")).to_contain_text("fire siffer")


@asynccontextmanager
async def overheard(hub: Hub) -> AsyncIterator[list[Received]]:
    """Everything that passes through the broker, by an account with the hub's rights."""
    folder = hub.settings.data / "broker"
    (folder / "passwords").write_text((folder / "passwords").read_text() + f"ear:{mosquitto_hash('ear')}\n")
    (folder / "acl").write_text((folder / "acl").read_text() + "\nuser ear\ntopic read #\n")
    os.kill(int((folder / "mosquitto.pid").read_text()), signal.SIGHUP)
    heard: list[Received] = []
    wire = Wire(Address("127.0.0.1", hub.settings.broker.port, "ear", "ear"), on_message=heard.append)
    wire.subscribe("#", 0)
    running = asyncio.create_task(wire.run())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await wire.until_connected()
        yield heard
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_nobody_learns_of_a_tap_on_a_signpost(town_hall: TownHall) -> None:
    hub = town_hall.hub
    kiosk = await town_hall.kiosk(has_clock=True)
    requests: list[str] = []
    async with overheard(hub) as heard:
        await choose_language(kiosk)
        await kiosk.locator("[data-track=directions]").click()
        await expect(kiosk.locator("[data-signpost]")).to_have_count(6)
        await kiosk.clock.fast_forward(11_000)
        await until(lambda: any("kiosk-1/up/heartbeat" in one.topic for one in heard))  # we do hear it
        await until_async(lambda: is_known_to_live(hub))  # written once, when it is first heard
        before = await what_is_kept(hub, kiosk)
        kiosk.on("request", lambda request: requests.append(request.url))
        heard.clear()
        await kiosk.locator("[data-signpost=psychiatric-health]").click()
        await expect(kiosk.locator(".directions")).to_contain_text("venterommet")
        await kiosk.locator("[data-action=back]").click()
        await kiosk.locator("[data-signpost=doctor]").click()
        await expect(kiosk.locator(".directions")).to_contain_text("blå døra")
        await kiosk.locator("[data-action=start_over]").click()
        await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
        await kiosk.clock.fast_forward(11_000)
        await until(lambda: any("kiosk-1/up/heartbeat" in one.topic for one in heard))  # what was sent before is here
        sent = [one for one in heard if "/up/" in one.topic and not one.topic.endswith("/heartbeat")]
        beats = [one.payload.decode() for one in heard if one.topic.endswith("/heartbeat")]
    assert sent == []
    assert not any(word in str(beats) for word in ("psych", "doctor", "signpost"))
    assert requests == []
    assert await what_is_kept(hub, kiosk) == before


async def is_known_to_live(hub: Hub) -> bool:
    query = select(kernel_tables.tables["device"].c.first_heard_at)
    return await hub.store.read(lambda connection: connection.execute(query).scalar()) is not None


async def what_is_kept(hub: Hub, kiosk: Page) -> tuple[Any, ...]:
    """Every row of the store that a tap could have left, and all that the browser keeps."""
    tables = [visit_table, *(table for name, table in kernel_tables.tables.items() if name != "session")]
    life = kernel_tables.tables["hub_life"]
    queries = [select(life.c.name if one is life else one) for one in tables]  # its time is the hub's, each ten seconds
    rows = await hub.store.read(lambda connection: [str(connection.execute(one).all()) for one in queries])
    browser = await kiosk.evaluate(
        """async () => JSON.stringify([
          { ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state,
          (await indexedDB.databases()).map((one) => one.name), await caches.keys(),
        ])"""
    )
    return rows, browser, await kiosk.evaluate(OUTBOX)


async def test_after_half_a_minute_of_silence_it_asks_and_then_forgets(town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk(has_clock=True)
    await choose_host(kiosk)
    await kiosk.locator("#visitor").fill("Ola Besøk")
    await kiosk.clock.fast_forward(29_000)
    await expect(kiosk.locator("dialog")).to_be_hidden()
    await kiosk.clock.fast_forward(2_000)
    await expect(kiosk.locator("dialog")).to_contain_text("Er du her framleis?")
    await kiosk.locator("[data-action=more-time]").click()
    await expect(kiosk.locator("#visitor")).to_have_value("Ola Besøk")
    await kiosk.clock.fast_forward(31_000)
    await expect(kiosk.locator("dialog")).to_be_visible()
    await kiosk.clock.run_for(21_000)
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
    assert "Ola" not in await kiosk.content()
    await choose_language(kiosk)
    await kiosk.locator("[data-track=search]").click()
    await expect(kiosk.locator("#host")).to_have_value("")
    await expect(kiosk.locator("[data-host]")).to_have_count(0)
    assert await kiosk.evaluate(OUTBOX) == []
    assert await visits(town_hall.hub) == []


HOSTILE = "<img src=x onerror=alert(1)> Ola \u202egnp.exe"


async def test_a_hostile_name_is_only_a_name(hostile_colleague: str, town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk()
    dialogs: list[str] = []
    kiosk.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await choose_host(kiosk, "kåre", hostile_colleague)
    await kiosk.locator("#visitor").fill(HOSTILE)
    await kiosk.locator("#company").fill("<script>alert(2)</script>")
    await kiosk.locator("[data-action=register]").click()
    await number_shown(kiosk)
    await harmless(kiosk, hostile_colleague)

    (visit,) = await visits(town_hall.hub)
    console = await town_hall.console("/visits", "front_line")
    await until(lambda: town_hall.mail_server.mails)
    mail = town_hall.mail_server.mails[0]
    assert "\u202e" not in text_of(mail)
    phone = await town_hall.chromium.tab("phone")
    pages = [(phone, link_in(mail)), (console, f"{town_hall.hub.settings.web.address}/visits/evacuation")]
    await harmless(console.locator(f"#visit-{visit.id}"), "<img src=x onerror=alert(1)> Ola")
    for page, address in pages:
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        await page.goto(address)
        await harmless(page, "<img src=x onerror=alert(1)> Ola")
    assert dialogs == []


async def harmless(place: Any, text: str) -> None:
    """The text stands there as text, in its own direction, and has made no element."""
    main = place.locator("main") if isinstance(place, Page) else place
    await expect(main).to_contain_text(text)
    assert await main.locator("img, script, b").count() == 0
    assert "\u202e" not in await main.inner_text()


async def test_a_tablet_without_a_link_says_where_to_go(town_hall: TownHall) -> None:
    tablet = await town_hall.chromium.tab()
    await tablet.goto(f"{town_hall.hub.settings.web.address}/kiosk")
    await expect(tablet.locator("body")).to_have_attribute("data-state", "unpaired")
    await expect(tablet.locator("main")).to_contain_text("Kom til skranken")
    await expect(tablet.locator("[lang=en]")).to_contain_text("come to the desk")


async def test_a_tablet_that_was_never_told_anything_is_out_of_order(town_hall: TownHall) -> None:
    town_hall.chromium.excuse("WebSocket connection")
    tablet = await town_hall.chromium.tab()
    await tablet.goto((await town_hall.link("kiosk-1", "kiosk")).replace("secret=", "secret=x"))
    await expect(tablet.locator("body")).to_have_attribute("data-state", "out-of-order")
    await expect(tablet.locator("main")).to_contain_text("tek ein pause")


async def test_a_kiosk_that_is_shut_out_is_cut(town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk()
    await choose_language(kiosk)
    await until(lambda: town_hall.hub.devices.vitals("kiosk-1").is_alive)
    await town_hall.hub.enroller.revoke("kiosk-1", "test")
    await kiosk.locator("[data-track=search]").click()
    await kiosk.locator("#host").fill("kari")
    await expect(kiosk.locator("[data-result=away]")).to_contain_text("Spør i skranken")
    assert await kiosk.locator("[data-host]").count() == 0


async def test_an_answer_that_came_while_the_tablet_was_cut_off_is_shown_when_it_is_back(town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk()
    await register(kiosk)
    await until(lambda: town_hall.mail_server.mails)
    town_hall.chromium.excuse("WebSocket connection")
    hub = town_hall.hub
    os.kill(int((hub.settings.data / "broker" / "mosquitto.pid").read_text()), signal.SIGKILL)
    await until(lambda: hub.mqtt.wire is not None and not hub.mqtt.wire.connected)
    (visit,) = await visits(hub)
    await hub.host.plugins["checkin"].instance.visits.record_answer(f"visit-{visit.id}", "five_minutes")
    await expect(kiosk.locator("[data-answer=five_minutes]")).to_be_visible(timeout=30_000)

    async def is_seen() -> bool:
        return (await visits(town_hall.hub))[0].answer_seen is True

    await until_async(is_seen)


async def test_the_waiting_page_waits_for_minutes_and_soon_shows_nobodys_name(town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk(has_clock=True)
    number = await register(kiosk)
    await expect(kiosk.locator("main")).to_contain_text("Kari Nordmann")
    await kiosk.clock.run_for(31_000)
    await expect(kiosk.locator("main")).not_to_contain_text("Kari")
    await expect(kiosk.locator("main")).to_contain_text(number)
    await kiosk.clock.run_for(240_000)
    (visit,) = await visits(town_hall.hub)
    await town_hall.hub.host.plugins["checkin"].instance.visits.record_answer(f"visit-{visit.id}", "coming")
    await expect(kiosk.locator("[data-answer=coming]")).to_contain_text("Den du skal møte")
    await kiosk.clock.fast_forward(301_000)
    await expect(kiosk.locator("dialog")).to_be_visible()
    await kiosk.locator("[data-action=more-time]").click()
    await expect(kiosk.locator("[data-number]")).to_be_visible()
    await kiosk.locator("[data-action=done]").click()
    await choose_language(kiosk)
    await kiosk.locator("[data-track=checkout]").click()
    for digit in number:
        await kiosk.locator(f"[data-key='{digit}']").click()
    await kiosk.locator("[data-action=ask]").click()
    await expect(kiosk.locator("[data-answer=coming]")).to_be_visible()


async def test_who_taps_done_before_the_receipt_still_gets_a_number(town_hall: TownHall) -> None:
    kiosk = await town_hall.kiosk()
    await choose_host(kiosk)
    await kiosk.locator("#visitor").fill("Ola Besøk")
    broker = int((town_hall.hub.settings.data / "broker" / "mosquitto.pid").read_text())
    os.kill(broker, signal.SIGSTOP)
    try:
        await kiosk.locator("[data-action=register]").click()
        await expect(kiosk.locator("body")).to_have_attribute("data-state", "kept", timeout=10_000)
        await kiosk.locator("[data-action=done]").click()
    finally:
        os.kill(broker, signal.SIGCONT)
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "late-number", timeout=30_000)
    (visit,) = await visits(town_hall.hub)
    assert await number_shown(kiosk) == visit.number
    assert "Kari" not in await kiosk.locator("main").inner_text()


async def test_the_host_is_told_although_the_tablets_clock_was_just_set(town_hall: TownHall) -> None:
    """By its latest heartbeat the clock was right: a visit of an hour ago looks as if it had waited on the disk."""
    kiosk = await town_hall.kiosk()
    await until(lambda: town_hall.hub.devices.vitals("kiosk-1").heartbeat)
    await set_clock(kiosk, -3605)
    await register(kiosk)
    (visit,) = await visits(town_hall.hub)
    assert visit.timing == "clock"
    await until(lambda: town_hall.mail_server.mails)
