"""A demo that was killed leaves its broker behind; the next one ends it and has the same ports."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from hub.demo.town_hall import free_ports
from tests.conftest import needs

pytestmark = pytest.mark.slow

SECONDS = 40


async def open_town(folder: Path, ports: dict[str, int]) -> tuple[asyncio.subprocess.Process, str]:
    """Once it says where everything is."""
    options = [f"--{name}={port}" for name, port in ports.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub", "demo", "--data", str(folder), *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    said = ""
    assert process.stdout
    async with asyncio.timeout(SECONDS):
        while "MQTT " not in said:
            line = await process.stdout.readline()
            assert line, said
            said += line.decode()
    return process, said


async def test_it_opens_again_on_the_same_ports(tmp_path: Path) -> None:
    needs("mosquitto")
    ports = free_ports(dict.fromkeys(("port", "mqtt-port", "ws-port")))
    first, said = await open_town(tmp_path, ports)
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()
    second, said_again = await open_town(tmp_path, ports)
    try:
        links = [re.findall(r"http://\S+#device\S+", text) for text in (said, said_again)]
        assert links[0]
        assert links[0] == links[1]  # a tablet that stands in a hall needs no new one
        assert "broker_leftover_stopped" in said_again
    finally:
        second.terminate()
        assert await second.wait() == 0
