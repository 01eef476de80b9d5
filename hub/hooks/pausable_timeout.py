"""A timeout for a plugin's work that is paused while the work waits for the hub itself.

Waiting for the store's commit is not the plugin's fault: a database that another program locks for a minute, or a disk
that stalls, must neither cancel the work nor count as a failure of the plugin.
"""

import asyncio
import time
from contextvars import ContextVar
from typing import Self

MAX_PAUSED_SECONDS = 600.0
"""In total: a plugin that writes without end must time out some day."""
FINISHED = -1_000_000
"""A value of `_pauses` from which it never returns to 0."""

_innermost: "ContextVar[PausableTimeout | None]" = ContextVar("timeout", default=None)


class PausableTimeout:
    """`with PausableTimeout(seconds):` limits what is awaited inside. Raises TimeoutError; then `expired` is true.

    Every message and every hook call has one, and nearly all are done within one iteration of the loop or wait for a
    commit: these get no timer. It is started in the next iteration if needed. Cancels as asyncio.timeout does.
    """

    __slots__ = (
        "_cancelling",
        "_end",
        "_loop",
        "_outer",
        "_pause_budget",
        "_paused_at",
        "_pauses",
        "_task",
        "_timer",
        "expired",
    )

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (coroutines run in tasks)
        self.expired = False
        self._task = task
        self._loop = task.get_loop()
        self._cancelling = task.cancelling()
        self._end = time.monotonic() + seconds
        self._pause_budget = MAX_PAUSED_SECONDS
        self._paused_at = 0.0
        self._pauses = 0
        self._timer: asyncio.TimerHandle | None = None
        self._outer: PausableTimeout | None = None

    def __enter__(self) -> Self:
        self._outer = _innermost.get()
        _innermost.set(self)
        _next_turn.add(self, self._loop)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._pauses = FINISHED
        _innermost.set(self._outer)
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError

    def check(self) -> None:
        """Cancel the task if the time is over, otherwise check again when it will be."""
        self._timer = None
        if self._pauses < 0:
            return  # the work is done
        if self._pauses > 0 and self._paused_at < self._end:
            return  # paused with time left: checked again on resume
        remaining = self._end - time.monotonic()
        if remaining > 0:
            self._timer = self._loop.call_later(remaining, self.check)
        elif not self.expired:
            self.expired = True
            self._task.cancel()

    def _pause(self) -> None:
        self._pauses += 1
        if self._pauses == 1:
            self._paused_at = time.monotonic()

    def _resume(self) -> None:
        """May be called after the timeout has ended, by a task that was started inside it."""
        self._pauses -= 1
        if self._pauses == 0:
            paused = min(time.monotonic() - self._paused_at, self._pause_budget)
            self._pause_budget -= paused
            self._end += paused
            if self._timer is None:
                _next_turn.add(self, self._loop)  # not now: a running task would be cancelled at its next await


class _NextTurn:
    """Timeouts without a timer, to be checked in the next iteration of the loop."""

    def __init__(self) -> None:
        self._waiting: list[PausableTimeout] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, timeout: PausableTimeout, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            self._loop, self._waiting = loop, []  # the previous loop has ended
        if not self._waiting:
            loop.call_soon(self._check_all)
        self._waiting.append(timeout)

    def _check_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for timeout in waiting:
            timeout.check()


_next_turn = _NextTurn()


class timeouts_paused:  # noqa: N801 (used like a function)
    """Pauses the current timeout and all that enclose it while something is awaited inside."""

    __slots__ = ("_timeouts",)

    def __enter__(self) -> None:
        self._timeouts: list[PausableTimeout] = []
        timeout = _innermost.get()
        while timeout is not None:
            timeout._pause()  # noqa: SLF001 (same module)
            self._timeouts.append(timeout)
            timeout = timeout._outer  # noqa: SLF001

    def __exit__(self, *_error: object) -> None:
        for timeout in self._timeouts:
            timeout._resume()  # noqa: SLF001
