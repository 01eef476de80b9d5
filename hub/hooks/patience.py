"""A time limit for a plugin's work that stands still while the hub itself keeps that work waiting.

A plugin is answerable for its own time. What it waits for the store's commit is not its own: a database that another
program holds for a minute, or a disk that stalls, must neither end the work nor count as the plugin's failure.
"""

import asyncio
import time
from contextvars import ContextVar
from typing import Self

MOST_PAUSED_SECONDS = 600.0
"""In all: whoever writes without end is not kept waiting by the hub."""
OVER = -1_000_000
"""Of the count of waits, which then never comes to naught again."""

_innermost: "ContextVar[Patience | None]" = ContextVar("patience", default=None)


class Patience:
    """`with Patience(seconds):` limits what is awaited inside. Raises TimeoutError; then `expired` is true.

    Every message and every hook has one, and nearly all are done within a turn of the loop or wait for a commit: those
    get no timer. Whoever is still there in the next turn, and waits for something of its own, gets one. Cancelling is
    done as asyncio.timeout does it.
    """

    __slots__ = (
        "_cancelling",
        "_end",
        "_loop",
        "_may_pause",
        "_outer",
        "_paused_at",
        "_task",
        "_timer",
        "_waits",
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
        self._may_pause = MOST_PAUSED_SECONDS
        self._paused_at = 0.0
        self._waits = 0
        self._timer: asyncio.TimerHandle | None = None
        self._outer: Patience | None = None

    def __enter__(self) -> Self:
        self._outer = _innermost.get()
        _innermost.set(self)
        _next_turn.add(self, self._loop)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._waits = OVER
        _innermost.set(self._outer)
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError

    def look(self) -> None:
        """Is the time over? If not, look again when it will be."""
        self._timer = None
        if self._waits < 0:
            return  # the work is done
        if self._waits > 0 and self._paused_at < self._end:
            return  # paused with time left: whoever goes on looks again
        left = self._end - time.monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self.look)
        elif not self.expired:
            self.expired = True
            self._task.cancel()

    def _pause(self) -> None:
        self._waits += 1
        if self._waits == 1:
            self._paused_at = time.monotonic()

    def _go_on(self) -> None:
        """It may be over: a task that was begun inside outlives it."""
        self._waits -= 1
        if self._waits == 0:
            paused = min(time.monotonic() - self._paused_at, self._may_pause)
            self._may_pause -= paused
            self._end += paused
            if self._timer is None:
                _next_turn.add(self, self._loop)  # never at once: a task that runs is cancelled where it waits next


class _NextTurn:
    """Those that have no timer yet, looked at in the loop's next turn."""

    def __init__(self) -> None:
        self._waiting: list[Patience] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, one: Patience, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            self._loop, self._waiting = loop, []  # the one before has ended
        if not self._waiting:
            loop.call_soon(self._look)
        self._waiting.append(one)

    def _look(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.look()


_next_turn = _NextTurn()


class kept_waiting:  # noqa: N801 (used as a function is)
    """What is awaited inside takes none of the time of whoever awaits it, nor of those who wait for them."""

    __slots__ = ("_limits",)

    def __enter__(self) -> None:
        self._limits: list[Patience] = []
        limit = _innermost.get()
        while limit is not None:
            limit._pause()  # noqa: SLF001 (of one and the same thing)
            self._limits.append(limit)
            limit = limit._outer  # noqa: SLF001

    def __exit__(self, *_error: object) -> None:
        for one in self._limits:
            one._go_on()  # noqa: SLF001
