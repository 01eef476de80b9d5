"""The hub dies while somebody registers: the tablet keeps the visit, tells the truth, and the visit comes once."""

import asyncio
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.chromium import Chromium, close, kill
from tests.browser.hub_process import HubProcess
from tests.browser.test_kiosk import OUTBOX, until_empty
from tests.browser.visitor import choose_host
from tests.conftest import until
from tests.mail_server import MailServer
from tests.patience import PATIENCE_SECONDS

GONE = r"WebSocket connection|ERR_CONNECTION_REFUSED|ERR_FAILED"
STORED = """async () => (await Promise.all((await caches.keys()).map(async (name) =>
  (await (await caches.open(name)).keys()).length))).reduce((one, other) => one + other, 0)"""


async def until_it_starts_offline(page: Page, files: int) -> None:
    """Its service worker has stored the app, the shelf holds what the hub said."""
    await page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await page.evaluate(STORED) < files:
            await asyncio.sleep(0.05)


async def test_a_visit_outlives_the_hub_and_the_browser_and_comes_once(
    hub_process: HubProcess, chromium: Chromium, mail_server: MailServer, tmp_path: Path
) -> None:
    chromium.excuse(GONE)
    profile = tmp_path / "tablet"
    link = await hub_process.link("kiosk-1", "kiosk")
    await hub_process.start()
    kiosk = await chromium.kept_tab(profile)
    await kiosk.goto(link)
    await choose_host(kiosk)
    await kiosk.locator("#visitor").fill("Ola Besøk")
    await until_it_starts_offline(kiosk, 4)

    await hub_process.kill()
    await kiosk.locator("[data-action=register]").click()
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "kept")
    await expect(kiosk.locator("main")).to_contain_text("Vi har ikkje fått sagt frå enno")
    assert await kiosk.locator("[data-number]").count() == 0
    assert len(await kiosk.evaluate(OUTBOX)) == 1
    assert hub_process.rows("SELECT id FROM checkin_visit") == []

    await kiosk.reload()
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
    await kill(kiosk.context, profile)
    kiosk = await chromium.kept_tab(profile)
    await kiosk.goto(link.split("#")[0])
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
    assert "Ola" not in await kiosk.content()

    await hub_process.start()
    await until_empty(kiosk)
    assert hub_process.rows("SELECT visitor FROM checkin_visit") == [("Ola Besøk",)]
    await until(lambda: mail_server.mails)

    await kiosk.reload()
    await expect(kiosk.locator("body")).to_have_attribute("data-state", "language")
    assert len(hub_process.rows("SELECT id FROM checkin_visit")) == 1
    assert len(mail_server.mails) == 1
    await close(kiosk)
