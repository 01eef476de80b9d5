"""The program itself, `kommunevert run`, to be killed and started again; enrolment happens before it runs."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import AbstractAsyncContextManager, closing, suppress
from pathlib import Path
from typing import Any

from hub.configuration.settings import Configuration
from hub.hub import Hub
from tests.conftest import until, write_configuration
from tests.patience import PATIENCE_SECONDS


class HubProcess:
    def __init__(self, settings: dict[str, Any], folder: Path) -> None:
        self.config = write_configuration(settings, folder / "kommunevert.yaml")
        self.settings = Configuration.read(self.config).hub
        self.log = folder / "hub.log"
        self._process: asyncio.subprocess.Process | None = None

    def store_only(self) -> AbstractAsyncContextManager[Hub]:
        """To prepare it, as the command line does. Before `start`: two hubs on one store are no installation."""
        return Hub(Configuration.read(self.config)).store_only()

    async def link(self, device: str, kind: str) -> str:
        async with self.store_only() as hub:
            enrolment = await hub.enroller.enrol(device, kind, device, "1. etasje", "test")
            return str(hub.enroller.link(enrolment))

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "hub", "run", "--config", self.config),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self._process.stdout.readline()
        assert b"is ready" in line, self.log.read_text()

    async def kill(self) -> None:
        """-9. Its broker lives on, as it does in the field."""
        await self._end(signal.SIGKILL)

    async def kill_with_broker(self) -> None:
        await self.kill()
        self._end_broker(signal.SIGKILL)
        await until(lambda: not self._broker_pids())

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)
        self._end_broker(signal.SIGTERM)

    def rows(self, query: str) -> list[Any]:
        with (
            closing(sqlite3.connect(f"file:{self.settings.data / 'kommunevert.db'}?mode=ro", uri=True)) as database,
            database,
        ):
            rows = database.execute(query).fetchall()
        database.close()
        return rows

    async def _end(self, how: int) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.send_signal(how)
        async with asyncio.timeout(15):
            await self._process.communicate()
        self._process = None

    def _end_broker(self, how: int) -> None:
        for pid in self._broker_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, how)

    def _broker_pids(self) -> list[int]:
        """The one whose configuration is ours, while it lives."""
        folder = self.settings.data / "broker"
        with suppress(OSError, ValueError):
            pid = int((folder / "mosquitto.pid").read_text())
            if str(folder / "mosquitto.conf").encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return [pid]
        return []
