"""Writes the journal in a thread of its own, in order and in batches."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from devices.door.deciding.flood import HeldBack, Key
from devices.door.memory.journal import Applied, Change, Entry, Journal, Persisted

log = structlog.get_logger("door.recorder")

T = TypeVar("T")
MAX_QUEUED = 2000
BATCH = 200
RETRY_SECONDS = 5.0
WRITE_SECONDS = 1.0
"""Somebody waits at the door."""


class Recorder:
    """`on_applied` is called on the loop after each transaction.

    After a disk failure `problem` is set, `on_stuck` gets the entries once, and they are retried until they are
    written.
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
        self._changes: asyncio.Queue[Change] = asyncio.Queue(MAX_QUEUED)
        self._batch: list[Change] = []
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
            self._record_failure(error)
            return []

    async def write(self, entry: Entry) -> bool:
        """Write an entry at once; True when it is durable within WRITE_SECONDS."""
        writing = asyncio.ensure_future(self._on_disk(partial(self._journal.apply, [entry])))
        done, _ = await asyncio.wait({writing}, timeout=WRITE_SECONDS)
        if not done:
            writing.add_done_callback(self._on_late_write)
            self._record_failure(sqlite3.OperationalError("it takes too long"))
            return False
        return self._finish_write(writing)

    def _finish_write(self, writing: "asyncio.Future[Applied]") -> bool:
        try:
            applied = writing.result()
        except sqlite3.Error as error:
            self._record_failure(error)
            return False
        self._applied(applied)
        return bool(applied.stored)

    def _on_late_write(self, writing: "asyncio.Future[Applied]") -> None:
        if not writing.cancelled():
            self._finish_write(writing)

    def _applied(self, applied: Applied) -> None:
        self.waiting, self.oldest_number, self.newest_number = applied.waiting, applied.oldest, applied.newest
        self._on_applied(applied)

    def persist(self, name: str, value: str) -> bool:
        """Queue a value that survives restarts."""
        return self.put(Persisted(name, value))

    async def remember_held(self, held: dict[Key, HeldBack]) -> None:
        try:
            await self._on_disk(lambda: self._journal.remember_held(held))
        except sqlite3.Error as error:
            self._record_failure(error)

    async def run(self) -> None:
        """Write until cancelled; `close` writes what is left."""
        while True:
            self._batch = [await self._changes.get(), *self._queued(BATCH)]
            is_reported = False
            while self._batch:
                changes = self._batch
                try:
                    applied = await self._on_disk(partial(self._journal.apply, changes))
                except sqlite3.Error as error:
                    self._record_failure(error)
                    if not is_reported:
                        is_reported = True
                        self._on_stuck([change for change in changes if isinstance(change, Entry)])
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self._batch = []
                    self.problem = None
                    self._applied(applied)

    def close(self) -> None:
        """Write the rest and close the file; writing an entry twice stores it once."""
        self._thread.shutdown()
        try:
            self._journal.apply([*self._batch, *self._queued(MAX_QUEUED)])
        except sqlite3.Error as error:
            self._record_failure(error)
        self._journal.close()

    def _queued(self, most: int) -> list[Change]:
        return [self._changes.get_nowait() for _ in range(min(most, self._changes.qsize()))]

    def _record_failure(self, error: sqlite3.Error) -> None:
        self.problem = f"the journal cannot be written: {error}"
        log.error("journal_write_failed", error=str(error))

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
