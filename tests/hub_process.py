"""The hub as the program that a municipality runs, to be killed and started again."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp

from devices.contract.enrolment import Enrolment
from hub.configuration.settings import Configuration
from hub.hub import Hub
from tests.conftest import write_configuration
from tests.patience import PATIENCE_SECONDS


class HubProcess:
    def __init__(self, settings: dict[str, Any], folder: Path) -> None:
        self.config = write_configuration(settings, folder / "kommunevert.yaml")
        self.address = f"http://127.0.0.1:{settings['web']['port']}"
        self.log = folder / "hub.log"
        self._process: asyncio.subprocess.Process | None = None

    async def enrol(self, count: int) -> list[Enrolment]:
        """Kiosks, while the hub is not running."""
        hub = Hub(Configuration.read(self.config))
        async with hub.store_only():
            return [await hub.enroller.enrol(f"kiosk-{n}", "kiosk", f"Nettbrett {n}", "", "test") for n in range(count)]

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, *, is_ready: bool = True) -> None:
        """Returns when it is ready, or at least answers."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hub", "run", "--config", self.config, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession() as browser:
                while not await self._answers(browser, is_ready=is_ready):
                    assert self._process.returncode is None, self.log.read_text()[-2000:]
                    await asyncio.sleep(0.02)
        except BaseException:
            await self.kill()
            raise

    async def kill(self) -> None:
        """As a power cut does: at once, without a word."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._process.wait()

    async def _answers(self, browser: aiohttp.ClientSession, *, is_ready: bool) -> bool:
        try:
            async with browser.get(f"{self.address}/readyz") as answer:
                return answer.status == 200 or not is_ready
        except aiohttp.ClientError:
            return False
