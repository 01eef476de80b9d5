"""Jobs and the hub's death: none is lost, and one that is settled has its effect exactly once."""

import asyncio
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
from tests.hub_process import HubProcess

pytestmark = pytest.mark.fault
KILLS = 8
PLUGIN = '''
"""Asks for a job every few milliseconds; each leaves one event, unless it fails before or after."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path

from hub.plugin import Context, PluginSettings, Run, now

kommunevert_api = "2.0"
STOP = Path(__file__).parent / "stop"


class Plugin:
    settings_model = PluginSettings

    def __init__(self, context: Context, settings: PluginSettings) -> None:
        self.context = context

    async def start(self) -> None:
        self.context.on_due("leave a mark", self.leave_a_mark)
        self.context.run("ask", self.ask)

    async def ask(self) -> None:
        while not STOP.exists():
            key = random.randbytes(8).hex()
            due = now() + timedelta(seconds=random.uniform(0.0, 0.3))

            def write(connection):
                self.context.emit(connection, "asked", key)
                self.context.at(connection, "leave a mark", key, due)

            await self.context.store.write(write)
            await asyncio.sleep(0.01)

    async def leave_a_mark(self, run: Run) -> None:
        if random.random() < 0.03:
            raise LookupError("before")
        await asyncio.sleep(random.uniform(0.0, 0.05))

        def write(connection):
            if run.settle(connection):
                self.context.emit(connection, "done", run.key)

        await self.context.store.write(write)
        if random.random() < 0.03:
            raise LookupError("after")
'''


async def test_each_job_is_done_once_however_often_the_hub_is_killed(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "marks"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(PLUGIN)
    hub = HubProcess(settings | {"plugin_directory": str(folder.parent)}, tmp_path)
    await hub.start()
    for _ in range(KILLS):
        await asyncio.sleep(random.uniform(0.2, 1.2))
        await hub.kill()
        await hub.start()
    (folder / "stop").touch()
    await until(lambda: left(tmp_path) == 0, 60)
    asked, done = marks(tmp_path, "asked"), marks(tmp_path, "done")
    await hub.stop()
    assert sum(asked.values()) > KILLS * 10
    assert done == asked
    assert set(done.values()) == {1}


def left(folder: Path) -> int:
    return int(read(folder, "SELECT count(*) FROM job WHERE plugin = 'marks'")[0][0])


def marks(folder: Path, what: str) -> Counter[str]:
    return Counter(subject for (subject,) in read(folder, "SELECT subject FROM event WHERE kind = ?", f"marks.{what}"))


def read(folder: Path, query: str, *values: str) -> list[Any]:
    database = sqlite3.connect(folder / "data" / "kommunevert.db")
    try:
        return database.execute(query, values).fetchall()
    finally:
        database.close()
