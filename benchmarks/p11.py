"""P11: what a door command and a check-in take while a plugin floods, and while a device does (I10: 100 ms more at most).

The real program, the real controller of a door, and one tablet. Both go on side by side, ten commands and thirty
check-ins a second, each timed from when it was due, so that waiting in line counts. First quiet, then with the plugin
of tests/hostile_plugins/floods (it publishes, writes and emits without end, and is in quarantine after a second, and
again after each time that it is tried), then with a tablet that says 2 000 things a second, ten times what it may.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from benchmarks.bench_hub import folder_with_devices, percentile, program
from benchmarks.p3 import door, flooding
from benchmarks.raw_mqtt import RawClient
from devices.contract.enrolment import Enrolment
from devices.contract.payload import new_id
from devices.contract.topics import branch
from hub.configuration.settings import Configuration
from hub.hub import Hub
from hub.store.person_ids import PersonIds

HOSTILE = Path(__file__).parents[1] / "tests" / "hostile_plugins"
PLUGIN = "floods"
COMMAND_EVERY, CHECK_IN_EVERY = 0.1, 1 / 30
RATE = 2_000
DEVICES = [("door-1", "door"), ("kiosk-1", "kiosk"), ("kiosk-2", "kiosk"), ("screen-1", "screen")]
MIN_SECONDS = 10.0
"""The plugin is put into quarantine and tried again within it."""


async def run(seconds: float) -> dict[str, float]:
    seconds = max(seconds, MIN_SECONDS)
    async with folder_with_devices(DEVICES) as (folder, hub, enrolments):
        let_in(folder / "kommunevert.yaml")
        preparing = Hub(Configuration.read(folder / "kommunevert.yaml"))
        async with preparing.store_only():
            scopes = frozenset({"doors:read", "doors:open"})
            _, token = await preparing.tokens.make("bench", scopes, "bench", None)
        path = folder / "door-1.json"
        path.write_bytes(enrolments[0].encoded())
        headers = {"Authorization": f"Bearer {token}"}
        address = f"http://127.0.0.1:{hub.settings.web.port}"
        async with (
            program(folder, hub),
            door(str(path), str(folder / "door")),
            aiohttp.ClientSession(address, headers=headers) as api,
        ):
            tablet = Tablet(PersonIds.load(hub.settings.data).of("kari"))
            await tablet.connect(enrolments[1])
            await until_locked(api)

            async def command() -> None:
                async with api.post("/api/v1/doors/door-1/pulse", json={"reason": "bench"}) as answer:
                    assert (await answer.json()).get("result") == "done", await answer.text()

            async def both() -> tuple[list[float], list[float]]:
                return await asyncio.gather(
                    every(COMMAND_EVERY, seconds, command), every(CHECK_IN_EVERY, seconds, tablet.check_in)
                )

            await both()  # warm
            found = {"quiet": await both()}
            (hub.settings.data / "go").touch()
            found["a plugin floods"] = await both()
            assert "floods the broker" in (folder / "hub.log").read_text()
            (hub.settings.data / "go").unlink()
            await asyncio.sleep(2)
            async with flooding(RATE, enrolments[2:3]):
                found["a device floods"] = await both()
            async with api.get("/metrics") as answer:
                assert 'mqtt_refused_total{kind="kiosk",why="too many"}' in await answer.text()
    return figures(found)


def figures(found: dict[str, tuple[list[float], list[float]]]) -> dict[str, float]:
    made: dict[str, float] = {}
    for number, what in enumerate(("door command", "check-in")):
        quiet = found["quiet"][number]
        for when, both in found.items():
            took = both[number]
            made |= {
                f"{what}, {when}, p50 ms": percentile(took, 0.5) * 1000,
                f"{what}, {when}, p95 ms": percentile(took, 0.95) * 1000,
                f"{what}, {when}, slowest ms": max(took) * 1000,
            }
            if both is not found["quiet"]:
                made[f"{what}, {when}, p95 above the quiet one, ms"] = (
                    percentile(took, 0.95) - percentile(quiet, 0.95)
                ) * 1000
    return made


async def every(pause: float, seconds: float, act: Callable[[], Awaitable[None]]) -> list[float]:
    began = time.perf_counter()
    took: list[float] = []
    for number in range(int(seconds / pause)):
        due = began + number * pause
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await act()
        took.append(time.perf_counter() - due)
    return took


class Tablet:
    """It registers one visitor after the other."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._client: RawClient
        self._topic = ""
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def connect(self, one: Enrolment) -> None:
        mine = branch(one.root, one.site, one.kind, one.device)
        self._topic = f"{mine}/up/visit"
        _, self._client = await asyncio.get_running_loop().create_connection(
            lambda: RawClient(one.device, one.secret, f"{mine}/down/receipt", self._receipt), "127.0.0.1", one.port
        )
        await self._client.subscribed

    async def check_in(self) -> None:
        visit, at = new_id(), datetime.now(UTC).isoformat()
        self._waiting[visit] = asyncio.get_running_loop().create_future()
        self._client.publish(
            self._topic,
            f'{{"id":"{visit}","host":"{self._host}","visitor":"Ola","language":"nn","arrived_at":"{at}"}}'.encode(),
        )
        async with asyncio.timeout(60):
            await self._waiting[visit]
        del self._waiting[visit]

    def _receipt(self, payload: bytes) -> None:
        at = payload.find(b'"of":"') + 6
        waiting = self._waiting.get(payload[at : at + 32].decode())
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


def let_in(configuration: Path) -> None:
    """The plugin that floods, and none of its neighbours in the folder."""
    text = configuration.read_text().replace("plugins:\n", f"plugin_directory: {HOSTILE}\nplugins:\n", 1)
    others = sorted(one.parent.name for one in HOSTILE.glob("*/__init__.py"))
    configuration.write_text(text + "".join(f"  {name}: {str(name == PLUGIN).lower()}\n" for name in others))


async def until_locked(api: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(20):
        while True:
            async with api.get("/api/v1/doors/door-1") as answer:
                if answer.status == 200 and (await answer.json())["lock"] == "locked":
                    return
            await asyncio.sleep(0.05)
