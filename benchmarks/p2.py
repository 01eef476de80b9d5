"""P2: QoS 1 check-ins until the durable receipt, 200 kiosks; beside the disk's fsync rate and a bare paho echo."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bench_hub import folder_with_devices, percentile, program
from benchmarks.raw_mqtt import RawClient
from devices.contract.enrolment import Enrolment
from devices.contract.payload import new_id
from devices.contract.topics import branch
from hub.broker.mosquitto import Broker
from hub.configuration.settings import OwnBroker
from hub.store.person_ids import PersonIds

KIOSKS = 200


class Load:
    """All kiosks. Closed: each sends its next visit when the receipt comes. Open: at a rate, whatever comes."""

    def __init__(self, host: str) -> None:
        self.sent: dict[str, float] = {}
        self.seconds: list[float] = []
        self._clients: list[tuple[RawClient, str]] = []
        self._arrived_at = f'"arrived_at":"{datetime.now(UTC).isoformat()}"'
        self._host = host
        self._is_closed = False

    async def connect(self, enrolments: list[Enrolment], port: int) -> None:
        loop = asyncio.get_running_loop()
        for number, one in enumerate(enrolments):
            mine = branch(one.root, one.site, one.kind, one.device)
            _, client = await loop.create_connection(
                lambda one=one, mine=mine, number=number: RawClient(  # type: ignore[misc]
                    one.device, one.secret, f"{mine}/down/receipt", lambda payload: self._receipt(number, payload)
                ),
                "127.0.0.1",
                port,
            )
            await client.subscribed
            self._clients.append((client, f"{mine}/up/visit"))

    def send(self, number: int) -> None:
        client, topic = self._clients[number]
        visit = new_id()
        self.sent[visit] = time.perf_counter()
        client.publish(
            topic,
            f'{{"id":"{visit}","host":"{self._host}","visitor":"Ola","language":"nn",{self._arrived_at}}}'.encode(),
        )

    async def closed(self, seconds: float) -> float:
        """Receipts a second with one visit under way for each kiosk."""
        self._is_closed, self.seconds = True, []
        began = time.perf_counter()
        for number in range(len(self._clients)):
            self.send(number)
        await asyncio.sleep(seconds)
        self._is_closed = False
        rate = len(self.seconds) / (time.perf_counter() - began)
        await self._quiet()
        return rate

    async def open(self, rate: float, seconds: float) -> list[float]:
        """Seconds from visit to receipt at a rate."""
        self.seconds = []
        began = time.perf_counter()
        count = 0
        while (elapsed := time.perf_counter() - began) < seconds:
            while count < elapsed * rate:
                self.send(count % len(self._clients))
                count += 1
            await asyncio.sleep(0.001)
        await self._quiet()
        return self.seconds

    def close(self) -> None:
        for client, _ in self._clients:
            client.close()

    async def _quiet(self) -> None:
        async with asyncio.timeout(60):
            while self.sent:
                await asyncio.sleep(0.01)

    def _receipt(self, number: int, payload: bytes) -> None:
        at = payload.find(b'"of":"') + 6
        sent = self.sent.pop(payload[at : at + 32].decode(), None)
        if sent is not None:
            self.seconds.append(time.perf_counter() - sent)
            if self._is_closed:
                self.send(number)


async def run(seconds: float) -> dict[str, float]:
    devices = [(f"kiosk-{n}", "kiosk") for n in range(KIOSKS)]
    async with folder_with_devices(devices) as (folder, hub, enrolments):
        fsync = fsync_rate(folder)
        async with program(folder, hub):
            load = Load(PersonIds.load(hub.settings.data).of("kari"))
            await load.connect(enrolments, hub.settings.broker.port)
            await load.closed(1)  # warm
            rate = await load.closed(seconds)
            latencies = await load.open(rate / 2, seconds)
            load.close()
    echo = await echo_rate(seconds)
    return {
        "check-ins until the durable receipt, per second": rate,
        "p50 at half load, ms": percentile(latencies, 0.5) * 1000,
        "p99 at half load, ms": percentile(latencies, 0.99) * 1000,
        "limit: fsyncs of the disk, per second": fsync,
        "limit: bare paho echo, same load, per second": echo,
        "ratio to the bare paho echo": rate / echo,
        "ratio to the fsync rate": rate / fsync,
    }


def fsync_rate(folder: Path, seconds: float = 1.0) -> float:
    """One after the other, 4 KiB appended each time: what a commit for each check-in could reach at most."""
    count = 0
    with (folder / "fsync").open("ab", buffering=0) as file:
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - began)


async def echo_rate(seconds: float) -> float:
    """The same kiosks and broker; in the hub's place a paho thread that sends every payload back as a receipt."""
    devices = [(f"kiosk-{n}", "kiosk") for n in range(KIOSKS)]
    async with folder_with_devices(devices) as (_, hub, enrolments):
        assert isinstance(hub.settings.broker, OwnBroker)
        broker = Broker(hub.settings.broker, hub.settings.data / "broker")
        await hub.store.open()
        await hub.admission.load()
        await broker.accounts.put(list(hub.admission.accounts()), {})
        await broker.start()
        address = broker.address
        echo = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.paho_echo", str(address.port), address.account, address.secret],
            stdout=subprocess.PIPE,
        )
        try:
            assert echo.stdout
            await asyncio.to_thread(echo.stdout.readline)
            load = Load(PersonIds.load(hub.settings.data).of("kari"))
            await load.connect(enrolments, address.port)
            await load.closed(0.5)
            rate = await load.closed(seconds)
            load.close()
        finally:
            echo.kill()
            echo.wait()
            echo.stdout.close() if echo.stdout else None
            await broker.stop()
            await hub.store.close()
    return rate
