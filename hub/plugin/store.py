"""The store for one plugin: the same two methods, with a limited share of the writer and the readers."""

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from hub.hooks.guard import PluginRaisedError
from hub.hooks.pausable_timeout import timeouts_paused
from hub.store.store import Store

T = TypeVar("T")
Item = TypeVar("Item")

MAX_QUEUED_WRITES = 10
"""Further writes of the plugin wait outside the writer's queue, which all plugins share."""
LONG_WRITE_SECONDS = 1.0


class PluginStore:
    """`on_long_write` is called on the loop with the seconds for which a write has blocked the writer.

    Waiting for a commit does not count towards the time limit of a handler or hook (hub/hooks/pausable_timeout.py).
    """

    def __init__(
        self, store: Store, name: str, on_long_write: Callable[[float], None], *, has_own_reader: bool
    ) -> None:
        self._store = store
        self._on_long_write = on_long_write
        self._write_slots = asyncio.Semaphore(MAX_QUEUED_WRITES if has_own_reader else sys.maxsize)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix=f"store-read-{name}") if has_own_reader else None

    @property
    def engine(self) -> Engine:
        return self._store.engine

    @property
    def problem(self) -> str | None:
        return self._store.problem

    async def write(self, work: Callable[[Connection], T]) -> T:
        """As Store.write. Waiting for the plugin's own writes counts towards its time limit."""
        async with self._write_slots:
            with timeouts_paused():
                return await self._store.write(_Work(work, self._reporter()))

    async def write_with_others(self, work: Callable[[Connection, list[Item]], list[T]], item: Item) -> T:
        """As Store.write_with_others."""
        with timeouts_paused():
            return await self._store.write_with_others(_Work(work, self._reporter()), item)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """As Store.read. A plugin that is not ours reads in a thread of its own, so that it delays no others."""
        if self._reader is None:
            return await self._store.read(work)
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._store.reading, work)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.shutdown(wait=False, cancel_futures=True)

    def _reporter(self) -> Callable[[float], None] | None:
        if self._reader is None:  # one of ours
            return None
        loop = asyncio.get_running_loop()

        def report(seconds: float) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_long_write, seconds)

        return report


@dataclass(frozen=True, slots=True)
class _Work:
    """Equal for equal work, so that the store can batch it."""

    work: Callable[..., Any]
    report: Callable[[float], None] | None = field(compare=False)

    def __call__(self, *arguments: Any) -> Any:
        """Runs in the writer's thread, which no exception of a plugin may end."""
        began = time.monotonic()
        try:
            return self.work(*arguments)
        except Exception:
            raise
        except BaseException as error:
            raise PluginRaisedError(f"raised {type(error).__name__}") from error
        finally:
            seconds = time.monotonic() - began
            if self.report is not None and seconds > LONG_WRITE_SECONDS:
                self.report(seconds)
