"""P10: the page Doors stands open for a while in which nothing happens, with a hundred doors: what it costs the hub.

The page is read as a browser does: `/live` says what has changed, and each part that shows it is fetched again from its
own address. Beside it, in the same run: the same hub with no page open.
"""

import asyncio
import os
import re
from pathlib import Path

import aiohttp

from benchmarks.bench_hub import folder_with_devices, program
from benchmarks.p8 import fleet, until_all_connected
from hub.configuration.settings import Configuration
from hub.demo.simulate import make_plan
from hub.hub import Hub

DOORS = 100
MIN_SECONDS = 20.0
PART = re.compile(r'hx-get="([^"]+)"[^>]*hx-trigger="([^"]+)"')
PASSWORD = "a password for the bench"  # noqa: S105 (of a hub that is thrown away)


async def run(seconds: float) -> dict[str, float]:
    seconds = max(seconds, MIN_SECONDS)
    async with folder_with_devices([]) as (folder, hub, _):
        preparing = Hub(Configuration.read(folder / "kommunevert.yaml"))
        async with preparing.store_only():
            plan = await make_plan(preparing, {"door": DOORS})
            await preparing.accounts.put("caretaker", PASSWORD, frozenset({"caretaker"}), "bench")
        async with program(folder, hub) as process, fleet(plan, pace=1e-6) as doors:
            await until_all_connected(doors)
            await asyncio.sleep(12)  # every door has said once how it stands
            before = cpu_seconds(process.pid)
            await asyncio.sleep(seconds)
            without = (cpu_seconds(process.pid) - before) / seconds
            address = f"http://127.0.0.1:{hub.settings.web.port}"
            async with aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
                await browser.post("/login", data={"name": "caretaker", "password": PASSWORD})
                page = Page(browser)
                looking = asyncio.create_task(page.look())
                opening = asyncio.create_task(page.is_open.wait())
                await asyncio.wait({looking, opening}, return_when=asyncio.FIRST_COMPLETED)
                if looking.done():
                    looking.result()
                await asyncio.sleep(1)
                page.bytes = page.fetches = 0
                before = cpu_seconds(process.pid)
                await asyncio.sleep(seconds)
                with_page = (cpu_seconds(process.pid) - before) / seconds
                looking.cancel()
                await asyncio.wait({looking})
    return {
        "doors": DOORS,
        "seconds": seconds,
        "hub without a page, % of a core": without * 100,
        "hub with the page open, % of a core": with_page * 100,
        "the page's own, % of a core": (with_page - without) * 100,
        "parts fetched": page.fetches,
        "KB/s": page.bytes / seconds / 1000,
    }


class Page:
    def __init__(self, browser: aiohttp.ClientSession) -> None:
        self.bytes = self.fetches = 0
        self.is_open = asyncio.Event()
        self._browser = browser

    async def look(self) -> None:
        parts = PART.findall((await self._get("/doors")).decode())
        assert parts
        async with self._browser.get("/live", timeout=aiohttp.ClientTimeout(total=None)) as stream:
            self.is_open.set()
            async for line in stream.content:
                if line.startswith(b"data: ") and (subjects := set(line.decode()[6:].split())):
                    wanted = [
                        one
                        for one, trigger in parts
                        if any(f"live-{subject} " in f"{trigger} " for subject in subjects)
                    ]
                    await asyncio.gather(*(self._get(one) for one in wanted))

    async def _get(self, path: str) -> bytes:
        async with self._browser.get(path, headers={"Accept": "text/html"}) as answer:
            assert answer.status == 200, await answer.text()
            body = await answer.read()
        self.bytes += len(body)
        self.fetches += 1
        return body


def cpu_seconds(pid: int) -> float:
    """Of the process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
