"""The journal's thread: what happens is written behind the loop's back, in order, many at a time."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from devices.door.deciding.flood import HeldBack, Key
from devices.door.memory.journal import Applied, Change, Entry, Journal, Lasting

log = structlog.get_logger("door.recorder")

T = TypeVar("T")
MOST_QUEUED = 2000
MOST_TOGETHER = 200
RETRY_SECONDS = 5.0
KEEP_SECONDS = 1.0
"""Somebody stands at the door."""


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
        self.oldest_number, self.newest_number = journal.numbers()
        self._journal = journal
        self._on_applied = on_applied
        self._on_stuck = on_stuck
        self._changes: asyncio.Queue[Change] = asyncio.Queue(MOST_QUEUED)
        self._at_hand: list[Change] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def put(self, change: Change) -> bool:
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

    async def keep(self, entry: Entry) -> bool:
        """Now, and durable when True. What must stand written before something is done; it is not done later."""
        writing = asyncio.ensure_future(self._on_disk(partial(self._journal.apply, [entry])))
        done, _ = await asyncio.wait({writing}, timeout=KEEP_SECONDS)
        if not done:
            writing.add_done_callback(self._kept_late)
            self._stuck(sqlite3.OperationalError("it takes too long"))
            return False
        return self._has_kept(writing)

    def _has_kept(self, writing: "asyncio.Future[Applied]") -> bool:
        try:
            applied = writing.result()
        except sqlite3.Error as error:
            self._stuck(error)
            return False
        self._note(applied)
        return bool(applied.kept)

    def _kept_late(self, writing: "asyncio.Future[Applied]") -> None:
        if not writing.cancelled():
            self._has_kept(writing)

    def _note(self, applied: Applied) -> None:
        self.waiting, self.oldest_number, self.newest_number = applied.waiting, applied.oldest, applied.newest
        self._on_applied(applied)

    def put_lasting(self, name: str, value: str) -> bool:
        """What is to outlive a restart, as soon as the disk has time."""
        return self.put(Lasting(name, value))

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
                    self._note(applied)

    def close(self) -> None:
        """Write the rest and close the file. What is written twice is kept once."""
        self._thread.shutdown()
        try:
            self._journal.apply([*self._at_hand, *self._queued(MOST_QUEUED)])
        except sqlite3.Error as error:
            self._stuck(error)
        self._journal.close()

    def _queued(self, most: int) -> list[Change]:
        return [self._changes.get_nowait() for _ in range(min(most, self._changes.qsize()))]

    def _stuck(self, error: sqlite3.Error) -> None:
        self.problem = f"the journal cannot be written: {error}"
        log.error("journal_stuck", error=str(error))

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
