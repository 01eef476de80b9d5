"""The watchdog: names the plugin and the line that block the loop."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger("watchdog")

BLOCKED_SECONDS = 0.25


class Watchdog:
    """A thread that looks at the loop from outside; `blame` is told the plugin's name and where, on the loop."""

    def __init__(self, folders: Callable[[], dict[Path, str]], blame: Callable[[str, str, float], None]) -> None:
        self._folders = folders
        self._blame = blame
        self._beat = time.monotonic()
        self._stopped = threading.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._stopped.clear()
        self._beat = time.monotonic()
        watching = threading.Thread(
            target=self._watch, args=(loop, threading.get_ident()), name="watchdog", daemon=True
        )
        watching.start()
        try:
            while True:
                self._beat = time.monotonic()
                await asyncio.sleep(BLOCKED_SECONDS / 5)
        finally:
            self._stopped.set()
            watching.join()

    def _watch(self, loop: asyncio.AbstractEventLoop, loop_thread: int) -> None:
        told = 0.0
        while not self._stopped.wait(BLOCKED_SECONDS / 5):
            beat = self._beat
            blocked = time.monotonic() - beat
            if blocked < BLOCKED_SECONDS or beat == told:
                continue
            told = beat
            where, plugin = self._culprit(loop_thread)
            log.error("loop_blocked", seconds=round(blocked, 2), where=where, plugin=plugin or "hub")
            if plugin and not loop.is_closed():
                loop.call_soon_threadsafe(self._blame, plugin, where, blocked)

    def _culprit(self, loop_thread: int) -> tuple[str, str | None]:
        """The innermost line of a plugin on the loop's stack; else the innermost line of anybody."""
        frame = sys._current_frames().get(loop_thread)  # noqa: SLF001 (the documented way to see another thread)
        innermost = "?"
        folders = self._folders()
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            here = f"{path.name}:{frame.f_lineno} in {frame.f_code.co_name}"
            innermost = here if innermost == "?" else innermost
            for folder, plugin in folders.items():
                if folder in path.parents:
                    return f"{plugin}/{here}", plugin
            frame = frame.f_back
        return innermost, None
