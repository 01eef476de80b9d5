"""Ends a child process with its parent, which holds its standard input.

A parent that is killed with -9 cannot send a signal, but its end of the pipe closes.
"""

import asyncio
import os
import threading
from collections.abc import Callable

STANDARD_INPUT = 0
MAX_LINE_BYTES = 4096


def watch_parent(on_gone: Callable[[], None], on_line: Callable[[str], None] = lambda _line: None) -> threading.Thread:
    """Call `on_line` for each line of standard input and `on_gone` at its end, both on the running loop.

    Reads the descriptor in a daemon thread of its own: asyncio's pipes refuse files and /dev/null.
    """
    loop = asyncio.get_running_loop()

    def call(function: Callable[..., None], *arguments: str) -> None:
        try:
            loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop is closed already

    def read() -> None:
        rest = b""
        while received := os.read(STANDARD_INPUT, MAX_LINE_BYTES):
            *lines, rest = (rest + received).split(b"\n")
            rest = rest[-MAX_LINE_BYTES:]
            for line in lines:
                call(on_line, line.decode(errors="replace").strip())
        call(on_gone)

    thread = threading.Thread(target=read, name="parent", daemon=True)
    thread.start()
    return thread
