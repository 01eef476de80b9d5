"""A hub of its own for a benchmark: the real program, in a folder that is thrown away."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from devices.contract.enrolment import Enrolment
from hub.configuration.settings import Configuration
from hub.demo.town_hall import free_ports
from hub.hub import Hub

PEOPLE = "dn: uid=kari,dc=test\nobjectClass: inetOrgPerson\nuid: kari\ncn: Kari Nordmann\nou: Service\nmail: kari@x.example\n"

CONFIGURATION = """
site: {{id: bench}}
web: {{port: {web}}}
broker: {{port: {mqtt}, websocket_port: {websocket}}}
plugins:
  directory: {{source: {{kind: ldif, file: people.ldif}}}}
  checkin: {{searches_per_minute: 1000000, beginnings_in_ten_minutes: 1000000, visits_per_minute: 1000000, messages_per_host: 1000000}}
  locks: {{commands_per_minute: 1000000, pulse_seconds: 0.01}}
  notify: {notify}
"""


@asynccontextmanager
async def folder_with_devices(
    devices: list[tuple[str, str]], notify: str = "{}"
) -> AsyncIterator[tuple[Path, Hub, list[Enrolment]]]:
    """A configuration and enrolled devices (id, kind), the hub not running yet."""
    with TemporaryDirectory(prefix="kommunevert-bench-") as name:
        folder = Path(name)
        (folder / "people.ldif").write_text(PEOPLE)
        ports = free_ports(dict.fromkeys(("web", "mqtt", "websocket")))
        path = folder / "kommunevert.yaml"
        path.write_text(CONFIGURATION.format(notify=notify, **ports))
        hub = Hub(Configuration.read(path))
        async with hub.store_only():
            enrolments = [await hub.enroller.enrol(device, kind, device, "", "bench") for device, kind in devices]
        yield folder, Hub(Configuration.read(path)), enrolments


@asynccontextmanager
async def program(folder: Path, hub: Hub) -> AsyncIterator[asyncio.subprocess.Process]:
    """`kommunevert run`, ready."""
    with (folder / "hub.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hub", "run", "--config", folder / "kommunevert.yaml", stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(30):
            while not await _is_ready(hub.settings.web.port):
                assert process.returncode is None, (folder / "hub.log").read_text()
                await asyncio.sleep(0.05)
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
    line: Any = await reader.readline()
    writer.close()
    return b" 200 " in line


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
