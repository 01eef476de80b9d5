"""Our side of P1 and P4: the real program beside the broker that Home Assistant uses, followed by its event stream."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from benchmarks.bench_hub import PEOPLE, program
from benchmarks.found_fleet import SENTINEL
from hub.configuration.settings import Configuration
from hub.demo.town_hall import free_ports
from hub.hub import Hub

PASSWORD = "a-password-for-a-bench"  # noqa: S105
CONFIGURATION = """
site: {{id: bench}}
web: {{port: {web}}}
broker: {{kind: external, host: 127.0.0.1, port: {broker}, secret_file: secret}}
history: {{days: {days}}}
plugins:
  directory: {{source: {{kind: ldif, file: people.ldif}}}}
"""


@dataclass
class FoundHub:
    pid: int
    folder: Path
    _session: aiohttp.ClientSession
    _address: str

    async def count(self) -> int:
        async with self._session.get(f"{self._address}/entities/stream") as stream:
            return len(await _next(stream))

    async def until_sentinel(self, is_reached: Callable[[float], bool]) -> float:
        """When a listener that follows all entities had the sentinel's value (perf_counter)."""
        async with self._session.get(f"{self._address}/entities/stream", timeout=aiohttp.ClientTimeout()) as stream:
            while True:
                state = (await _next(stream)).get(f"sensor.{SENTINEL}", (None,))[0]
                if state is not None and is_reached(float(state)):
                    return time.perf_counter()


async def _next(stream: aiohttp.ClientResponse) -> dict[str, list[float | str | None]]:
    while True:
        line = await stream.content.readuntil(b"\n")
        assert line, "the stream has ended"
        if line.startswith(b"data: "):
            told: dict[str, list[float | str | None]] = json.loads(line[6:])
            return told


@asynccontextmanager
async def folder(broker_port: int, *, history: bool) -> AsyncIterator[tuple[Path, Hub]]:
    """A configuration with one login."""
    with TemporaryDirectory(prefix="kommunevert-bench-") as name:
        place = Path(name)
        (place / "people.ldif").write_text(PEOPLE)
        (place / "secret").write_text("secret")
        port = free_ports({"web": None})["web"]
        path = place / "kommunevert.yaml"
        path.write_text(CONFIGURATION.format(web=port, broker=broker_port, days=14 if history else 0))
        hub = Hub(Configuration.read(path))
        async with hub.store_only():
            await hub.accounts.put("bench", PASSWORD, frozenset({"it"}), "bench")
        yield place, Hub(Configuration.read(path))


@asynccontextmanager
async def running(place: Path, hub: Hub) -> AsyncIterator[FoundHub]:
    jar = aiohttp.CookieJar(unsafe=True)  # "unsafe": from an address without a name
    async with (
        program(place, hub) as process,
        aiohttp.ClientSession(cookie_jar=jar, read_bufsize=2**24, raise_for_status=True) as session,
    ):
        address = f"http://127.0.0.1:{hub.settings.web.port}"
        async with session.post(f"{address}/login", data={"name": "bench", "password": PASSWORD}) as answer:
            assert answer.status == 200, await answer.text()
        yield FoundHub(process.pid, place, session, address)


async def history_rows(place: Path) -> int:
    """In the database, so that another program can read them."""
    import sqlite3  # noqa: PLC0415 (only here)

    def count() -> int:
        with sqlite3.connect(f"file:{place / 'data' / 'history.db'}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM sample").fetchone()[0])

    return await asyncio.to_thread(count)
