"""A test in which our code holds the loop fails and names the line: no time is measured, the calls themselves are seen.

What counts is a call that may wait, on a thread whose loop runs, for which code of ours and not the test's own is to
blame: sleeping, a socket that blocks, waiting for a process, a name asked of a resolver, a database, a disk's sync, and
reading a file that is not small. Imports may: what is needed seldom is imported when it is needed.
"""

import asyncio
import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
OURS = tuple(f"{ROOT / house}{os.sep}" for house in ("hub", "plugins", "devices"))
LIBRARIES = ("<", *{f"{sysconfig.get_path(kind)}{os.sep}" for kind in ("stdlib", "purelib", "platlib")})
BETWEEN = frozenset({__file__, str(ROOT / "tests" / "conftest.py")})
"""What watches calls stands between who makes them and the call."""
SMALL_BYTES = 64 * 1024

OF_A_DEVELOPER = "a command that serves nobody else meanwhile"
ALLOWED = {
    ("hub/store/folder_lock.py", "_write"): "one line into one file, before the hub serves anybody and after it has",
    ("hub/configuration/settings.py", "_time_zone"): "the configuration is read before anything starts",
    ("devices/door/memory/journal.py", "_open"): "once, before the controller does anything",
    ("devices/door/readers/osdp.py", "_stop"): "it was killed a moment before, and its line must be free for the next",
    ("hub/toolkit/check.py", "_run"): OF_A_DEVELOPER,
    ("hub/toolkit/published.py", "errors_in"): OF_A_DEVELOPER,
}
"""File and function, and why it may."""
ALLOWED_TO_READ = {
    "babel": "a language's names of days and months, 2 to 7 ms once: a hub without a page is spared 5 MB",
}
"""A package's own files, and why."""

EVENTS = frozenset({"socket.connect", "socket.getaddrinfo", "sqlite3.connect", "os.system", "open"})
"""Of the audit hook. What tells it nothing is wrapped instead."""
NUMERIC = ("127.0.0.1", "::1", "0.0.0.0", "::", "localhost", "", None)


class _Seen:
    def __init__(self) -> None:
        self.is_looking = False
        self.places: dict[str, str] = {}


_now = _Seen()


def note(call: str) -> None:
    """Whoever calls this is about to wait."""
    if not _now.is_looking or asyncio._get_running_loop() is None:
        return
    if (frame := _to_blame(sys._getframe(1))) is not None:
        code = frame.f_code
        file = Path(code.co_filename).relative_to(ROOT).as_posix()
        if (file, code.co_name) not in ALLOWED:
            _now.places.setdefault(f"{file}:{frame.f_lineno} in {code.co_name}", call)


def _to_blame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is no library's, if it is ours and not a test's or of a plugin that a test has written."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(OURS):
            return frame
        if "importlib" in file or not (file.startswith(LIBRARIES) or file in BETWEEN):
            return None
        frame = frame.f_back
    return None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in EVENTS or not _now.is_looking:
        return
    if event == "socket.connect" and arguments[0].gettimeout() == 0:
        return
    if event == "socket.getaddrinfo" and arguments[0] in NUMERIC:
        return
    if event == "open":
        path, mode = arguments[0], arguments[1] or ""
        if not isinstance(path, str | bytes) or "r" not in mode or asyncio._get_running_loop() is None:
            return
        _note_reading(Path(os.fsdecode(path)))
    else:
        note(event)


def _note_reading(path: Path) -> None:
    with suppress(OSError):
        size = path.stat().st_size
        if size > SMALL_BYTES and not ALLOWED_TO_READ.keys() & set(path.parts):
            note(f"reading {size} bytes of {path}")


def _wrapped(owner: Any, name: str, call: str, waits: Callable[..., bool] = lambda *_a, **_k: True) -> None:
    real = getattr(owner, name)

    def watched(*arguments: Any, **named: Any) -> Any:
        if waits(*arguments, **named):
            note(call)
        return real(*arguments, **named)

    setattr(owner, name, watched)


def _blocks(one: socket.socket, *_arguments: Any, **_named: Any) -> bool:
    return one.gettimeout() != 0


def pytest_configure() -> None:
    sys.addaudithook(_audit)
    _wrapped(time, "sleep", "time.sleep", lambda seconds: seconds > 0)
    _wrapped(os, "fsync", "os.fsync")
    _wrapped(os, "fdatasync", "os.fdatasync")
    _wrapped(subprocess.Popen, "wait", "waiting for a process")
    for name in ("recv", "recv_into", "send", "sendall", "accept"):
        _wrapped(socket.socket, name, f"a socket's {name}", _blocks)


def seen() -> dict[str, str]:
    """Where the loop was held since the test began, and by what; forgotten with this."""
    found, _now.places = _now.places, {}
    return found


@pytest.fixture(autouse=True)
def blocks_nothing() -> Iterator[None]:
    seen()
    _now.is_looking = True
    yield
    _now.is_looking = False
    assert not (found := seen()), "the loop was held: " + ", ".join(
        f"{place} by {call}" for place, call in found.items()
    )
