"""Debian's chromium for tests: it reaches this machine only, and what its pages complain about fails the test."""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Playwright

from tests.conftest import needs, until

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
Size = Literal["phone", "small phone", "tablet", "desk", "wall"]
SIZES: dict[Size, tuple[int, int]] = {
    "small phone": (360, 740),
    "phone": (390, 844),
    "tablet": (810, 1080),
    "desk": (1280, 900),
    "wall": (1920, 1080),
}


class Chromium:
    """Each `tab` is a browser of its own: cookies and storage are shared with no other."""

    def __init__(self, playwright: Playwright, browser: Browser) -> None:
        self._playwright = playwright
        self._browser = browser
        self._kept: list[BrowserContext] = []
        self._complaints: list[str] = []
        self._excused: list[str] = []

    async def tab(self, size: Size = "tablet", **options: Any) -> Page:
        context = await self._browser.new_context(**_look(size), **options)
        return self._heard(await context.new_page())

    async def kept_tab(self, profile: Path, size: Size = "tablet") -> Page:
        """With a profile on the disk, which outlives the browser; also one that was killed."""
        for lock in profile.glob("Singleton*"):
            lock.unlink()
        context = await self._playwright.chromium.launch_persistent_context(profile, **_look(size), **launch())
        self._kept.append(context)
        return self._heard(context.pages[0])

    def excuse(self, pattern: str) -> None:
        """Complaints that this test provokes."""
        self._excused.append(pattern)

    async def close(self) -> None:
        for context in (*self._browser.contexts, *self._kept):
            with suppress(Error):  # one that a test has killed
                for page in context.pages:
                    await page.goto("about:blank")  # a page that is still on its way somewhere keeps its context open
                await context.close()

    def blame(self) -> None:
        left = [one for one in self._complaints if not any(re.search(pattern, one) for pattern in self._excused)]
        assert not left, f"the pages complained: {left}"

    def _heard(self, page: Page) -> Page:
        page.set_default_timeout(10_000)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._complaints.append(f"page error: {error}"))
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complaints.append(f"{message.text} ({message.location['url'].split('#')[0]})")


def launch() -> dict[str, Any]:
    return {"executable_path": needs("chromium"), "args": ARGUMENTS}


async def kill(context: BrowserContext, profile: Path) -> None:
    """As a power cut would: the browser that has this profile, with SIGKILL."""
    closed: list[BrowserContext] = []
    context.on("close", lambda gone: closed.append(gone))
    for pid in _browsers_of(profile):
        os.kill(pid, signal.SIGKILL)
    await until(lambda: closed)
    await until(lambda: not _browsers_of(profile))


async def close(page: Page) -> None:
    """The page's browser context; one that is gone already is closed enough."""
    try:
        await page.context.close()
    except Error as error:
        if "closed" not in str(error):
            raise


def _browsers_of(profile: Path) -> list[int]:
    wanted = f"--user-data-dir={profile}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in arguments and not any(one.startswith(b"--type=") for one in arguments):
            found.append(int(path.parent.name))
    return found


def _look(size: Size) -> dict[str, Any]:
    width, height = SIZES[size]
    is_touched = size in ("phone", "small phone", "tablet")
    return {"viewport": {"width": width, "height": height}, "has_touch": is_touched, "reduced_motion": "reduce"}
