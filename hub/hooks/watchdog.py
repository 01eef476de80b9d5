"""The watchdog: reports the plugin and the line that block the event loop, and interrupts the plugin.

A thread watches the loop. For a plugin's step it knows when it began (hub/hooks/guard.py); anything else it detects by
a missed beat of the loop. To interrupt, it sends the loop's thread a signal: `time.sleep`, a blocking socket and a busy
loop all come back for a signal's handler, and the handler throws `BlockedInterrupt` into the plugin's frame. It does so
only while that step still runs and the innermost frame is not the hub's or asyncio's, so kernel code, a commit or the
loop itself is never cut in two. docs/decisions/0010-interrupting-plugins.md.
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
"""Blocking the loop for longer is reported."""
BEAT_SECONDS = 0.05
TICK_SECONDS = 0.05
SIGNAL = signal.SIGURG
"""Otherwise unused, and ignored by default."""

_HUB = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_DEVICES = f"{Path(__file__).resolve().parents[2] / 'devices'}{os.sep}"
_ASYNCIO = f"{Path(asyncio.__file__).resolve().parent}{os.sep}"

OnBlocked = Callable[[str, str, float], None]
"""Called on the loop with the plugin, the place and the seconds so far; again when the plugin is interrupted."""


class Watchdog:
    def __init__(self, owners: Callable[[], Iterable[Owner]], on_blocked: OnBlocked) -> None:
        self._owners = owners
        self._on_blocked = on_blocked
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
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        with self._handler():
            thread.start()
            try:
                while True:
                    self._beat = time.monotonic()
                    await asyncio.sleep(BEAT_SECONDS)
            finally:
                self._stopped.set()
                thread.join()

    @contextmanager
    def _handler(self) -> Iterator[None]:
        """Signals are handled in the main thread only: a loop in another thread is watched, but not interrupted."""
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
        reported: Step | None = None
        interrupted: Step | None = None
        outside_steps = _OutsideSteps(self)
        while not self._stopped.wait(TICK_SECONDS):
            step = steps.current
            if step is None:
                outside_steps.check(self._beat)
                continue
            blocked_seconds = time.monotonic() - step.began
            if (
                blocked_seconds >= BLOCKED_SECONDS
                and step is not reported
                and self._report_step(step.owner, blocked_seconds)
            ):
                reported = step
            if blocked_seconds >= step.owner.step_seconds:
                if step is not interrupted and self._report_step(step.owner, blocked_seconds):
                    interrupted = step
                self.interrupt(step)

    def interrupt(self, target: Step | Owner) -> None:
        """Interrupt the step, or the owner's code that runs outside of any step."""
        if self._can_interrupt:
            self._target = target
            signal.pthread_kill(self._thread, SIGNAL)

    def _report_step(self, owner: Owner, blocked_seconds: float) -> bool:
        frame = self.frame()
        while frame is not None and not _is_of(frame, owner):
            frame = frame.f_back
        if frame is None:
            return False  # it has just ended, or is in a library that will call it back
        self.report(owner.name, f"{owner.name}/{_place(frame)}", blocked_seconds)
        return True

    def report(self, plugin: str | None, where: str, blocked_seconds: float) -> None:
        log.error("loop_blocked", seconds=round(blocked_seconds, 2), where=where, plugin=plugin or "hub")
        if plugin and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_blocked, plugin, where, blocked_seconds)

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
                raise BlockedInterrupt(f"blocked the loop at {target.owner.name}/{place} and was interrupted")
        elif target is not None and steps.current is None and _is_callback(frame, target):
            raise BlockedInterrupt(f"blocked the loop outside of all hooks: {target.name}")


class _OutsideSteps:
    """Watches code that runs outside of steps: the kernel's, and a plugin's `call_later` and similar callbacks."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._reported_beat = self._interrupted_beat = 0.0
        self._frame: FrameType | None = None
        self._since = 0.0

    def check(self, beat: float) -> None:
        """`beat`: when the loop last ran."""
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
            if now - beat >= BLOCKED_SECONDS and beat != self._reported_beat:
                self._reported_beat = beat
                self._watchdog.report(None, _place(innermost) if innermost else "?", now - beat)
            return
        if frame is not self._frame:
            self._frame, self._since = frame, now
        blocked_seconds = now - self._since
        if blocked_seconds >= BLOCKED_SECONDS and beat != self._reported_beat:
            self._reported_beat = beat
            self._watchdog.report(owner.name, f"{owner.name}/{_place(frame)}", now - beat)
        if blocked_seconds >= owner.step_seconds:
            if beat != self._interrupted_beat:
                self._interrupted_beat = beat
                self._watchdog.report(owner.name, f"{owner.name}/{_place(frame)}", now - beat)
            self._watchdog.interrupt(owner)


def _place(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"


def _is_of(frame: FrameType, owner: Owner) -> bool:
    return owner.folder is not None and frame.f_code.co_filename.startswith(f"{owner.folder}{os.sep}")


def _is_kernel(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith((_HUB, _DEVICES, _ASYNCIO))


def _own_place(frame: FrameType | None, owner: Owner) -> str | None:
    """The plugin's line that runs; None if hub or asyncio code that it called runs."""
    while frame is not None and not _is_kernel(frame):
        if _is_of(frame, owner):
            return _place(frame)
        frame = frame.f_back
    return None


def _is_callback(frame: FrameType | None, owner: Owner) -> bool:
    """Whether the loop itself called this plugin's code, so that the loop handles an exception."""
    if _own_place(frame, owner) is None:
        return False
    while frame is not None and not _is_kernel(frame):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(_ASYNCIO)
