"""The check of every test, that our code does not hold the loop, sees what it is there for."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.blocking import ROOT, SMALL_BYTES, seen

CALLS = {
    "time.sleep": "time.sleep(0.001)",
    "os.fsync": "os.fsync(os.open(folder / 'small', os.O_RDONLY))",
    "sqlite3.connect": "sqlite3.connect(':memory:').close()",
    "socket.getaddrinfo": "socket.getaddrinfo('name.invalid', 80)",
    "socket.connect": "socket.create_connection(('127.0.0.1', port)).close()",
    "a socket's send": "[pair := socket.socketpair(), pair[0].send(b'x'), pair[0].close(), pair[1].close()]",
    "reading": "(folder / 'large').read_bytes()",
}
FREE = {
    "a socket that waits for nothing": "[one := socket.socket(), one.setblocking(False), one.connect_ex(('127.0.0.1', port)), one.close()]",
    "a small file": "(folder / 'small').read_bytes()",
    "no pause": "time.sleep(0)",
}
IMPORTS = "import os, socket, sqlite3, subprocess, time"
PLACE = "hub/work/here.py:3 in work"
PROGRAM = "subprocess.run(['true'], check=True)"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Runs a line of Python as if it stood in the hub."""
    (tmp_path / "large").write_bytes(bytes(SMALL_BYTES + 1))
    (tmp_path / "small").write_bytes(bytes(SMALL_BYTES))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run(line: str) -> None:
            code = f"{IMPORTS}\ndef work(folder, port):\n  {line}\n"
            names: dict[str, Any] = {}
            exec(compile(code, f"{ROOT}/hub/work/here.py", "exec"), names)  # noqa: S102 (a line of this file)
            with suppress(socket.gaierror):
                names["work"](tmp_path, listening.getsockname()[1])

        yield run


@pytest.mark.parametrize("call", CALLS)
async def test_what_waits_on_the_loop_is_named_with_its_line(run: Callable[[str], None], call: str) -> None:
    run(CALLS[call])
    ((place, found),) = seen().items()
    assert place == PLACE
    assert found.startswith(call)


@pytest.mark.slow
async def test_waiting_for_a_process_is_named(run: Callable[[str], None]) -> None:
    run(PROGRAM)
    assert seen() == {PLACE: "waiting for a process"}


@pytest.mark.parametrize("call", FREE)
async def test_what_waits_for_nothing_is_free(run: Callable[[str], None], call: str) -> None:
    run(FREE[call])
    assert seen() == {}


async def test_a_thread_may(run: Callable[[str], None]) -> None:
    await asyncio.to_thread(run, CALLS["time.sleep"])
    assert seen() == {}


def test_without_a_loop_one_may(run: Callable[[str], None]) -> None:
    run(CALLS["time.sleep"])
    assert seen() == {}


async def test_a_test_may(tmp_path: Path) -> None:
    os.fsync(os.open(tmp_path, os.O_RDONLY))
    assert seen() == {}
