"""The watchdog: names the plugin and the line that hold the loop, and interrupts a plugin that does not let go.

A thread looks at the loop from outside. Of a plugin's step it knows when it began (hub/hooks/guard.py); everything else
it knows by a beat that the loop misses. To interrupt, it sends the loop's thread a signal: `time.sleep`, a blocking
socket and a busy loop all come back for a signal's handler, and the handler throws `BlockedInterrupt` into the plugin's
frame. It does so only while that step still runs and the innermost frame is not the hub's or asyncio's, so kernel code,
a commit or the loop itself is never cut in two. docs/decisions/0010-interrupting-plugins.md.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog

from hub.hooks.guard import BlockedInterrupt, Owner, Step, steps

log = structlog.get_logger("watchdog")

BLOCKED_SECONDS = 0.25
"""Whoever holds the loop for so long is named."""
BEAT_SECONDS = 0.05
TICK_SECONDS = 0.05
SIGNAL = signal.SIGURG
"""Nobody uses it, and it does nothing to a program without a handler."""

_HUB = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_DEVICES = f"{Path(__file__).resolve().parents[2] / 'devices'}{os.sep}"
_ASYNCIO = f"{Path(asyncio.__file__).resolve().parent}{os.sep}"

Blamed = Callable[[str, str, float], None]
"""The plugin's name, where, and for how many seconds so far; called on the loop, and again when it is interrupted."""


class Watchdog:
    def __init__(self, owners: Callable[[], Iterable[Owner]], blame: Blamed) -> None:
        self._owners = owners
        self._blame = blame
        self._beat = time.monotonic()
        self._stopped = threading.Event()
        self._target: Step | Owner | None = None
        self._loop: asyncio.AbstractEventLoop
        self._thread = 0
        self._can_interrupt = False

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stopped.clear()
        self._beat = time.monotonic()
        watching = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        with self._handler():
            watching.start()
            try:
                while True:
                    self._beat = time.monotonic()
                    await asyncio.sleep(BEAT_SECONDS)
            finally:
                self._stopped.set()
                watching.join()

    @contextmanager
    def _handler(self) -> Iterator[None]:
        """Signals reach the main thread only: a loop elsewhere is watched, but not interrupted."""
        self._can_interrupt = threading.current_thread() is threading.main_thread()
        if not self._can_interrupt:
            yield
            return
        before = signal.signal(SIGNAL, self._interrupt)
        try:
            yield
        finally:
            signal.signal(SIGNAL, before)

    # -- in the watchdog's thread

    def _watch(self) -> None:
        told: Step | None = None
        interrupted: Step | None = None
        loose = _Loose(self)
        while not self._stopped.wait(TICK_SECONDS):
            step = steps.current
            if step is None:
                loose.look(self._beat)
                continue
            held = time.monotonic() - step.began
            if held >= BLOCKED_SECONDS and step is not told and self._tell(step.owner, held):
                told = step
            if held >= step.owner.step_seconds:
                if step is not interrupted and self._tell(step.owner, held):
                    interrupted = step
                self.interrupt(step)

    def interrupt(self, target: Step | Owner) -> None:
        """The step, or whatever code of that owner runs now outside of all steps."""
        if self._can_interrupt:
            self._target = target
            signal.pthread_kill(self._thread, SIGNAL)

    def _tell(self, owner: Owner, held: float) -> bool:
        frame = self.frame()
        while frame is not None and not _is_of(frame, owner):
            frame = frame.f_back
        if frame is None:
            return False  # it has just let go, or waits in a library it gave its callback to
        self.tell(owner.name, f"{owner.name}/{_place(frame)}", held)
        return True

    def tell(self, plugin: str | None, where: str, held: float) -> None:
        log.error("loop_blocked", seconds=round(held, 2), where=where, plugin=plugin or "hub")
        if plugin and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._blame, plugin, where, held)

    def frame(self) -> FrameType | None:
        """The loop's innermost frame."""
        return sys._current_frames().get(self._thread)  # noqa: SLF001 (the documented way to see another thread)

    def owner_of(self, frame: FrameType) -> Owner | None:
        return next((owner for owner in self._owners() if _is_of(frame, owner)), None)

    # -- in the loop's thread

    def _interrupt(self, _signal: int, frame: FrameType | None) -> None:
        target, self._target = self._target, None
        if isinstance(target, Step):
            if steps.current is target and (place := _own_place(frame, target.owner)):
                raise BlockedInterrupt(f"held the loop at {target.owner.name}/{place} and was interrupted")
        elif target is not None and steps.current is None and _is_callback(frame, target):
            raise BlockedInterrupt(f"held the loop outside of all hooks: {target.name}")


class _Loose:
    """Looks at code that runs in no step: the kernel's, and a plugin's `call_later` and the like."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._told = self._interrupted = 0.0
        self._frame: FrameType | None = None
        self._since = 0.0

    def look(self, beat: float) -> None:
        """At the loop's latest beat."""
        now = time.monotonic()
        if now - beat < 2 * BEAT_SECONDS:
            self._frame = None
            return
        innermost = frame = self._watchdog.frame()
        owner = None
        while frame is not None and (owner := self._watchdog.owner_of(frame)) is None:
            frame = frame.f_back
        if frame is None or owner is None:
            self._frame = None
            if now - beat >= BLOCKED_SECONDS and beat != self._told:
                self._told = beat
                self._watchdog.tell(None, _place(innermost) if innermost else "?", now - beat)
            return
        if frame is not self._frame:
            self._frame, self._since = frame, now
        held = now - self._since
        if held >= BLOCKED_SECONDS and beat != self._told:
            self._told = beat
            self._watchdog.tell(owner.name, f"{owner.name}/{_place(frame)}", now - beat)
        if held >= owner.step_seconds:
            if beat != self._interrupted:
                self._interrupted = beat
                self._watchdog.tell(owner.name, f"{owner.name}/{_place(frame)}", now - beat)
            self._watchdog.interrupt(owner)


def _place(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"


def _is_of(frame: FrameType, owner: Owner) -> bool:
    return owner.folder is not None and frame.f_code.co_filename.startswith(f"{owner.folder}{os.sep}")


def _is_kernel(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith((_HUB, _DEVICES, _ASYNCIO))


def _own_place(frame: FrameType | None, owner: Owner) -> str | None:
    """Where in the plugin's code the loop is; None when the hub or asyncio works for it right now."""
    while frame is not None and not _is_kernel(frame):
        if _is_of(frame, owner):
            return _place(frame)
        frame = frame.f_back
    return None


def _is_callback(frame: FrameType | None, owner: Owner) -> bool:
    """Whether the loop itself called this plugin's code, so that an exception ends in the loop's own `except`."""
    if _own_place(frame, owner) is None:
        return False
    while frame is not None and not _is_kernel(frame):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(_ASYNCIO)
