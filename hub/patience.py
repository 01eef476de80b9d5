"""A time limit for a plugin's work that stands still while the hub itself keeps that work waiting.

A plugin is answerable for its own time. What it waits for the store's commit is not its own: a database that another
program holds for a minute, or a disk that stalls, must neither end the work nor count as the plugin's failure.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

_innermost: "ContextVar[Patience | None]" = ContextVar("patience", default=None)


class Patience:
    """`async with Patience(seconds):` as asyncio.timeout. Raises TimeoutError; then `expired` is true."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = seconds
        self._waits = 0
        self._is_over = False
        self._outer: Patience | None = None
        self._limit: asyncio.Timeout
        self._token: Token[Patience | None]

    @property
    def expired(self) -> bool:
        return self._limit.expired()

    async def __aenter__(self) -> Self:
        self._limit = asyncio.timeout(self._seconds)
        await self._limit.__aenter__()
        self._outer = _innermost.get()
        self._token = _innermost.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        _innermost.reset(self._token)
        await self._limit.__aexit__(kind, error, trace)

    @property
    def _runs(self) -> bool:
        """False also for a task that was begun inside and has outlived it."""
        return not self._is_over and not self._limit.expired()

    def _pause(self) -> None:
        self._waits += 1
        when = self._limit.when()
        if self._waits == 1 and when is not None and self._runs:
            self._left = when - asyncio.get_running_loop().time()
            self._limit.reschedule(None)

    def _go_on(self) -> None:
        self._waits -= 1
        if self._waits == 0 and self._limit.when() is None and self._runs:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._left)


@contextmanager
def kept_waiting() -> Iterator[None]:
    """What is awaited inside takes none of the time of whoever awaits it, nor of those who wait for them."""
    limits: list[Patience] = []
    limit = _innermost.get()
    while limit is not None:
        limits.append(limit)
        limit = limit._outer  # noqa: SLF001 (its own class's)
    for one in limits:
        one._pause()  # noqa: SLF001
    try:
        yield
    finally:
        for one in limits:
            one._go_on()  # noqa: SLF001
