"""The store as one plugin sees it: the same two verbs, with a share of the writer and of the readers, and no more."""

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

WRITES_AT_ONCE = 10
"""What is above waits its turn outside of the writer's queue, in which all plugins' writes stand."""
LONG_SECONDS = 1.0


class PluginStore:
    """`kept` is told for how long a piece of work held the one writer; it is called on the loop.

    Waiting for a commit takes nothing of a handler's or a hook's time (hub/hooks/pausable_timeout.py).
    """

    def __init__(self, store: Store, name: str, kept: Callable[[float], None], *, has_own_reader: bool) -> None:
        self._store = store
        self._kept = kept
        self._writes = asyncio.Semaphore(WRITES_AT_ONCE if has_own_reader else sys.maxsize)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix=f"store-read-{name}") if has_own_reader else None

    @property
    def engine(self) -> Engine:
        return self._store.engine

    @property
    def problem(self) -> str | None:
        return self._store.problem

    async def write(self, work: Callable[[Connection], T]) -> T:
        """As Store.write. What waits behind the plugin's own writes spends its own time."""
        async with self._writes:
            with timeouts_paused():
                return await self._store.write(_Work(work, self._told()))

    async def write_with_others(self, work: Callable[[Connection, list[Item]], list[T]], item: Item) -> T:
        """As Store.write_with_others."""
        with timeouts_paused():
            return await self._store.write_with_others(_Work(work, self._told()), item)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """As Store.read. A plugin that is not ours reads in a thread of its own, and keeps nobody waiting."""
        if self._reader is None:
            return await self._store.read(work)
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._store.reading, work)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.shutdown(wait=False, cancel_futures=True)

    def _told(self) -> Callable[[float], None] | None:
        if self._reader is None:  # one of ours
            return None
        loop = asyncio.get_running_loop()

        def told(seconds: float) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._kept, seconds)

        return told


@dataclass(frozen=True, slots=True)
class _Work:
    """Equal for equal work, so that the store still sees what belongs together."""

    work: Callable[..., Any]
    told: Callable[[float], None] | None = field(compare=False)

    def __call__(self, *arguments: Any) -> Any:
        """In the writer's thread, which what a plugin raises must not end."""
        began = time.monotonic()
        try:
            return self.work(*arguments)
        except Exception:
            raise
        except BaseException as error:
            raise PluginRaisedError(f"raised {type(error).__name__}") from error
        finally:
            seconds = time.monotonic() - began
            if self.told is not None and seconds > LONG_SECONDS:
                self.told(seconds)
