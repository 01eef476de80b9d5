"""A hub as the demo configures it, and a chromium whose complaints fail the test. SQLite only: browsers are slow."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Playwright, async_playwright
from ruamel.yaml import YAML

from hub.configuration.shipped import shipped
from hub.hooks.specifications import Role
from hub.hub import Hub
from tests.browser.chromium import Chromium, Size, launch
from tests.browser.hub_process import HubProcess
from tests.mail_server import MailServer

PASSWORD = "fjord-skog-ugle-regn"
NAMES: dict[Role, str] = {"front_line": "skranke", "caretaker": "vaktmeister", "it": "ikt"}
LANGUAGES = ["nn", "nb", "en", "ar"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def settings(settings: dict[str, Any], mail_server: MailServer) -> dict[str, Any]:
    whole = YAML(typ="safe").load(shipped("demo/demo.yaml"))
    demo, settings["calendar"] = whole["plugins"], whole["calendar"]
    settings["site"]["languages"] = LANGUAGES
    settings["plugins"]["checkin"]["signposts"] = demo["checkin"]["signposts"]
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    return settings


@pytest_asyncio.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as playwright:
        yield playwright


@pytest_asyncio.fixture(scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """One for all tests: to start it takes as long as most of them."""
    browser = await playwright.chromium.launch(**launch())
    yield browser
    await browser.close()


@pytest_asyncio.fixture
async def chromium(playwright: Playwright, browser: Browser) -> AsyncIterator[Chromium]:
    ours = Chromium(playwright, browser)
    yield ours
    await ours.close()
    ours.blame()


@dataclass
class TownHall:
    """The hub with somebody at each page."""

    hub: Hub
    chromium: Chromium
    mail_server: MailServer
    known: set[str] = field(default_factory=set)

    async def link(self, device: str, kind: str) -> str:
        enrolment = await self.hub.enroller.enrol(device, kind, f"Nettbrett {device}", "1. etasje", "test")
        return str(self.hub.enroller.link(enrolment))

    async def kiosk(self, size: Size = "tablet", device: str = "kiosk-1", *, has_clock: bool = False) -> Page:
        return await self._device(device, "kiosk", size, has_clock=has_clock)

    async def screen(self, size: Size = "wall", device: str = "screen-1", *, has_clock: bool = False) -> Page:
        return await self._device(device, "screen", size, has_clock=has_clock)

    async def console(self, path: str, *roles: Role, size: Size = "desk") -> Page:
        """Logged in by the login page, on the page that was asked for."""
        name = NAMES[roles[0]] if len(roles) == 1 else "driftsleiar"
        if name not in self.known:
            await self.hub.accounts.put(name, PASSWORD, frozenset(roles), "test")
            self.known.add(name)
        page = await self.chromium.tab(size)
        await page.goto(f"{self.hub.settings.web.address}{path}")
        await fill_in_login(page, name, PASSWORD)
        await page.wait_for_url(f"**{path}")
        return page

    async def _device(self, device: str, kind: str, size: Size, *, has_clock: bool) -> Page:
        page = await self.chromium.tab(size)
        if has_clock:
            await page.clock.install()
        await page.goto(await self.link(device, kind))
        return page


@pytest.fixture
def town_hall(hub: Hub, chromium: Chromium, mail_server: MailServer) -> TownHall:
    return TownHall(hub, chromium, mail_server)


async def fill_in_login(page: Page, name: str, password: str) -> None:
    await page.locator("#name").fill(name)
    await page.locator("#password").fill(password)
    await page.locator("main button").click()


@pytest.fixture
def hostile_colleague(settings: dict[str, Any], tmp_path: Path) -> str:
    """A name in the directory that would like to be markup. Ask for it before the hub."""
    name = "<b>Kåre</b> Hacker"
    with (tmp_path / "people.ldif").open("a") as file:
        file.write(
            f"\ndn: uid=kaare,dc=test\nobjectClass: inetOrgPerson\nuid: kaare\ncn: {name}\nsn: Hacker\n"
            "ou: Innbyggjarservice\nmail: kaare@fjordvik.example\nemployeeType: active\n"
        )
    return name


@pytest_asyncio.fixture
async def hub_process(settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[HubProcess]:
    """Not started yet."""
    process = HubProcess(settings, tmp_path)
    yield process
    await process.stop()
