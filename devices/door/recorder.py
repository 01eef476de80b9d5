"""The journal's thread: what happens is written behind the loop's back, in order, many at a time."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from devices.door.flood import HeldBack, Key
from devices.door.journal import Applied, Entry, Journal, Receipt

log = structlog.get_logger("door.recorder")

T = TypeVar("T")
MOST_QUEUED = 2000
MOST_TOGETHER = 200
RETRY_SECONDS = 5.0


class Recorder:
    """`on_applied` is called on the loop after each transaction.

    A disk that fails stops nobody: `problem` says so, `on_stuck` gets the entries so that they can be told
    once, and they are tried again until the disk takes them.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        on_applied: Callable[[Applied], None],
        on_stuck: Callable[[list[Entry]], None],
    ) -> None:
        self.problem: str | None = None
        self.waiting = journal.count()
        self._journal = journal
        self._on_applied = on_applied
        self._on_stuck = on_stuck
        self._changes: asyncio.Queue[Entry | Receipt] = asyncio.Queue(MOST_QUEUED)
        self._at_hand: list[Entry | Receipt] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def put(self, change: Entry | Receipt) -> bool:
        """Queue one change; False when the disk has been stuck for so long that there is no room."""
        try:
            self._changes.put_nowait(change)
        except asyncio.QueueFull:
            log.error("journal_queue_full")  # noqa: TRY400 (no traceback: the reason stands in the words)
            return False
        return True

    async def oldest(self, most: int) -> list[Entry]:
        """Entries that wait for their receipt; none while the disk does not answer."""
        try:
            return await self._on_disk(lambda: self._journal.oldest(most))
        except sqlite3.Error as error:
            self._stuck(error)
            return []

    async def remember_held(self, held: dict[Key, HeldBack]) -> None:
        try:
            await self._on_disk(lambda: self._journal.remember_held(held))
        except sqlite3.Error as error:
            self._stuck(error)

    async def run(self) -> None:
        """Write until cancelled; `close` writes what is left."""
        while True:
            self._at_hand = [await self._changes.get(), *self._queued(MOST_TOGETHER)]
            told = False
            while self._at_hand:
                changes = self._at_hand
                try:
                    applied = await self._on_disk(partial(self._journal.apply, changes))
                except sqlite3.Error as error:
                    self._stuck(error)
                    if not told:
                        told = True
                        self._on_stuck([change for change in changes if isinstance(change, Entry)])
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self._at_hand = []
                    self.problem = None
                    self.waiting = applied.waiting
                    self._on_applied(applied)

    def close(self) -> None:
        """Write the rest and close the file. What is written twice is kept once."""
        self._thread.shutdown()
        try:
            self._journal.apply([*self._at_hand, *self._queued(MOST_QUEUED)])
        except sqlite3.Error as error:
            self._stuck(error)
        self._journal.close()

    def _queued(self, most: int) -> list[Entry | Receipt]:
        return [self._changes.get_nowait() for _ in range(min(most, self._changes.qsize()))]

    def _stuck(self, error: sqlite3.Error) -> None:
        self.problem = f"the journal cannot be written: {error}"
        log.error("journal_stuck", error=str(error))

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
