"""P9: what a message costs the hub with 100, 1 000 and 10 000 devices connected: CPU µs of its process; flat within 20 %.

All devices are connected all the time. A round is silent first, which shows what the devices cost without a word, then
at a rate that is the same for every size: heartbeats (QoS 0), then searches (QoS 1, each with its answer).
"""

import asyncio
import time
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bench_hub import folder_with_devices, program
from benchmarks.raw_mqtt import RawClient
from devices.contract.payload import new_id
from devices.contract.topics import branch
from hub.configuration.settings import Configuration
from hub.devices.registry import NewDevice
from hub.hub import Hub

SIZES = (100, 1_000, 10_000)
RATE = 2_000
"""Messages a second, from all devices together."""
AT_ONCE = 100
WARMING_RATE = 2_500
QUIET_SECONDS = 30


class Fleet:
    def __init__(self, process: int, hub: Hub) -> None:
        self.answers = 0
        self._process = process
        self._hub = hub
        self._clients: list[tuple[RawClient, str]] = []

    async def connect(self, secrets: dict[str, str]) -> None:
        waiting = list(secrets.items())
        for start in range(0, len(waiting), AT_ONCE):
            await asyncio.gather(*(self._connect(*one) for one in waiting[start : start + AT_ONCE]))

    async def _connect(self, device: str, secret: str) -> None:
        settings = self._hub.settings
        mine = branch(settings.root, settings.site.id, "kiosk", device)
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: RawClient(device, secret, f"{mine}/down/found", self._answered), "127.0.0.1", settings.broker.port
        )
        await client.subscribed
        self._clients.append((client, f"{mine}/up"))

    def _answered(self, _payload: bytes) -> None:
        self.answers += 1

    async def warm(self) -> None:
        """One of each from every device: the first of a device costs more, and comes once."""
        for send, what in ((heartbeat, "heartbeat"), (search, "search")):
            before = await asyncio.to_thread(received, self._hub, what)
            for number, (client, up) in enumerate(self._clients):
                send(client, up)
                if number % AT_ONCE == 0:
                    await asyncio.sleep(AT_ONCE / WARMING_RATE)
            await self._until(what, before + len(self._clients))

    async def _until(self, what: str, count: int) -> None:
        async with asyncio.timeout(QUIET_SECONDS):
            while await asyncio.to_thread(received, self._hub, what) < count:
                await asyncio.sleep(0.05)

    def close(self) -> None:
        for client, _ in self._clients:
            client.close()

    async def silent(self, seconds: float) -> float:
        """CPU seconds of the hub in a second in which nobody says anything."""
        began, cpu = time.perf_counter(), cpu_seconds(self._process)
        await asyncio.sleep(seconds)
        return (cpu_seconds(self._process) - cpu) / (time.perf_counter() - began)

    async def cost(self, send: Callable[[RawClient, str], None], what: str, seconds: float, silent: float) -> float:
        """CPU µs of the hub for each message, without what it spends anyway (`silent`)."""
        before = await asyncio.to_thread(received, self._hub, what)
        began, cpu = time.perf_counter(), cpu_seconds(self._process)
        count = 0
        while (elapsed := time.perf_counter() - began) < seconds:
            while count < elapsed * RATE:
                client, up = self._clients[count % len(self._clients)]
                send(client, up)
                count += 1
            await asyncio.sleep(0.002)
        spent = cpu_seconds(self._process) - cpu - silent * (time.perf_counter() - began)
        await self._until(what, before + count)
        return spent / count * 1e6


def heartbeat(client: RawClient, up: str) -> None:
    at = datetime.now(UTC).isoformat()
    text = f'{{"sent_at":"{at}","version":"bench","uptime_seconds":1,"outbox":0}}'
    client.publish(f"{up}/heartbeat", text.encode(), qos=0)


def search(client: RawClient, up: str) -> None:
    client.publish(f"{up}/search", f'{{"id":"{new_id()}","text":"kari"}}'.encode())


def cpu_seconds(process: int) -> float:
    """Of all its threads, in nanoseconds' steps; its children (broker, history's writer, signer) are not in it."""
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in tasks) / 1e9


def received(hub: Hub, what: str) -> int:
    """How many messages of this kind the hub has taken, by its own count."""
    address = f"http://127.0.0.1:{hub.settings.web.port}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = f'mqtt_received_total{{kind="kiosk",what="{what}"}} '
    return sum(int(float(line.removeprefix(wanted))) for line in lines if line.startswith(wanted))


async def enrolled(folder: Path, count: int) -> dict[str, str]:
    """Kiosks and their secrets, all at once, while the hub is not running."""
    hub = Hub(Configuration.read(folder / "kommunevert.yaml"))
    async with hub.store_only():
        return await hub.admission.enrol(
            [NewDevice(f"kiosk-{n}", "kiosk", f"Kiosk {n}") for n in range(count)], "bench"
        )


async def run(seconds: float) -> dict[str, float]:
    figures: dict[str, float] = {}
    for size in SIZES:
        async with AsyncExitStack() as stack:
            folder, hub, _ = await stack.enter_async_context(folder_with_devices([]))
            secrets = await enrolled(folder, size)
            process = await stack.enter_async_context(program(folder, hub))
            fleet = Fleet(process.pid, hub)
            await fleet.connect(secrets)
            await fleet.warm()
            silent = await fleet.silent(seconds)
            figures[f"heartbeat with {size:,} devices, CPU µs"] = await fleet.cost(
                heartbeat, "heartbeat", seconds, silent
            )
            figures[f"search and answer with {size:,} devices, CPU µs"] = await fleet.cost(
                search, "search", seconds, silent
            )
            figures[f"silent with {size:,} devices, % of a core"] = silent * 100
            fleet.close()
    for what in ("heartbeat", "search and answer"):
        costs = [figures[f"{what} with {size:,} devices, CPU µs"] for size in SIZES]
        figures[f"{what}: dearest by cheapest"] = max(costs) / min(costs)
    return figures
