"""The store: SQLAlchemy Core on SQLite or PostgreSQL, behind two methods, `write` and `read`.

All writes go through one thread, in order. What is queued while the disk syncs is committed together (group commit): a
burst of check-ins costs one fsync, and no write returns before it.

The database may be away, locked, full or read-only. Callers then get an error for which `hub.store.trouble.in_store` is
true, `problem` describes it, and `wait_available` returns once a write has succeeded. A damaged database is not written
to: `hub.store.trouble.DamagedStoreError`.
"""

import asyncio
import os
import queue
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, DateTime, Dialect, Engine, create_engine, event, text
from sqlalchemy.types import TypeDecorator

from hub.store.database_lock import DatabaseLock
from hub.store.trouble import DamagedStoreError, explained, in_store, is_damage

log = structlog.get_logger("store")

T = TypeVar("T")
Item = TypeVar("Item")
MAX_BATCH = 500
READERS = 2
CHECKPOINT_SECONDS = 2.0
LONG_WAIT_SECONDS = 2.0
"""A write that takes longer is reported by `problem`."""
CONNECT_SECONDS = 3
PRAGMAS = (
    "auto_vacuum=INCREMENTAL",
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=20000",
    "foreign_keys=ON",
    "busy_timeout=60000",
    "secure_delete=ON",
)
"""`auto_vacuum` lets free pages be released; it works for a new database only, and must come first (retention.py).
`synchronous=FULL`: a commit is on the disk when it returns (D10). SQLite's own checkpoint is a fallback, see below."""


class Utc(TypeDecorator[datetime]):
    """An aware time in UTC, in both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    return datetime.now(UTC)


def after_commit(connection: Connection, callback: Callable[[], None]) -> None:
    """Call `callback` on the loop once this transaction is durable; equal callbacks are called once a commit."""
    connection.info.setdefault("after_commit", {})[callback] = None


@dataclass(slots=True, eq=False)
class _Work:
    """A queued write: `work` alone, or `batch_work` with the items of all queued writes that have the same function."""

    done: asyncio.Future[Any]
    work: Callable[[Connection], Any] | None = None
    batch_work: Callable[[Connection, list[Any]], list[Any]] | None = None
    item: Any = None
    result: Any = field(default=None)
    error: BaseException | None = field(default=None)


class Store:
    """Open it with `await open()`, close it with `await close()`."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.path = Path(self.engine.url.database or "") if self.engine.dialect.name == "sqlite" else None
        self.on_state_change: Callable[[], None] = lambda: None
        """Called on the loop when `problem` changes between None and a text."""
        self._lock: DatabaseLock | None = None
        self._trouble: str | None = None
        self._damage: str | None = None
        self._writing_since: float | None = None
        self._available = asyncio.Event()
        self._available.set()
        self._unavailable = asyncio.Event()
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._writer = threading.Thread(target=self._write_loop, name="store-write", daemon=True)
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self, *, is_the_hub: bool = False) -> None:
        """`is_the_hub`: take PostgreSQL's advisory lock; for SQLite the data folder is locked.

        Raises sqlalchemy.exc.OperationalError if the database cannot be reached, DataInUseError if another hub uses it.
        """
        self._loop = asyncio.get_running_loop()
        if is_the_hub and self.path is None:
            self._lock = DatabaseLock(self.engine)
            await asyncio.to_thread(self._lock.acquire)
        await asyncio.to_thread(self._check)
        self._writer.start()

    @property
    def problem(self) -> str | None:
        """Why nothing can be written at present; None if it can."""
        if self._damage or self._trouble:
            return self._damage or self._trouble
        since = self._writing_since
        waited = 0.0 if since is None else time.monotonic() - since
        if waited > LONG_WAIT_SECONDS:
            return f"has not answered a write for {waited:.0f} s: another program has locked it, or its disk stalls"
        return None

    async def wait_available(self) -> None:
        """Wait until the database can be written to; returns at once if it can."""
        await self._available.wait()

    async def wait_unavailable(self) -> None:
        """Wait until a write or read fails because of the database itself."""
        while self._available.is_set():
            await self._unavailable.wait()

    async def close(self) -> None:
        """Finish queued writes, then close."""
        if self._writer.is_alive():
            self._queue.put(None)
            await asyncio.to_thread(self._writer.join)
        self._readers.shutdown()
        if self._lock is not None:
            self._lock.release()
        self.engine.dispose()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the writer's thread; returns its result once the transaction is durable.

        `work` may run twice: if a batch fails, each write is retried alone. It must have no effect except through the
        connection. Raises what `work` raises, or SQLAlchemyError if the commit fails.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Work(future, work=work))
        return await future

    async def write_with_others(self, work: Callable[[Connection, list[Item]], list[T]], item: Item) -> T:
        """As `write`, for bursts: `work` gets all queued items, and returns a result for each.

        One statement can then write many items. `work` must be the same function at every call (compared by ==).
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Work(future, batch_work=work, item=item))
        return await future

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a reader thread, on a connection of its own that sees committed data."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.reading, work)

    def reading(self, work: Callable[[Connection], T]) -> T:
        """As `read`, in the calling thread, which must not be the loop's."""
        try:
            with self.engine.connect() as connection:
                return work(connection)
        except Exception as error:
            if in_store(error):
                self._note_errors([error])
            raise

    # -- the writer's thread

    def _check(self) -> None:
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def _write_loop(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, is_open = [first], True
            while is_open and len(batch) < MAX_BATCH:
                try:
                    work = self._queue.get_nowait()
                except queue.Empty:
                    break
                if work is None:
                    is_open = False
                else:
                    batch.append(work)
            self._write_batch(batch)
            if not is_open:
                return
            if self.engine.dialect.name == "sqlite" and time.monotonic() > self._checkpoint_at:
                self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
                self._readers.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        """Checkpoint SQLite's log outside the writer's thread, where it would delay a commit."""
        connection = self.engine.raw_connection()  # SQLite requires it outside a transaction
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            log.warning("checkpoint_failed", error=str(error))  # the log grows; the next checkpoint may succeed
        finally:
            connection.close()

    def _write_batch(self, batch: list[_Work]) -> None:
        callbacks: dict[Callable[[], None], None] = {}
        self._writing_since = time.monotonic()
        try:
            self._commit(batch, callbacks)
        except Exception as error:  # noqa: BLE001 (passed to the caller of that write)
            if len(batch) == 1 or in_store(error):  # retrying each alone would fail as well
                for work in batch:
                    work.error = error
            else:
                for work in batch:
                    try:
                        self._commit([work], callbacks)
                    except Exception as error:  # noqa: BLE001
                        work.error = error
        self._writing_since = None
        self._note_errors([work.error for work in batch])
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_deliver, batch, list(callbacks))

    def _commit(self, batch: list[_Work], callbacks: dict[Callable[[], None], None]) -> None:
        if self._damage is not None:
            raise DamagedStoreError(self._damage)
        if self._lock is not None and self._trouble is not None:
            self._lock.acquire()  # the lock was lost with its connection; another hub may have it
        with self.engine.connect() as connection:
            connection.info.pop("after_commit", None)
            with connection.begin():
                _run_batch(connection, batch)
            callbacks.update(connection.info.pop("after_commit", {}))

    def _note_errors(self, errors: list[BaseException | None]) -> None:
        """Update `problem` after each batch and each failed read; a successful write clears it."""
        failure = next((error for error in errors if error is not None and in_store(error)), None)
        previous = self._trouble
        if failure is not None:
            if is_damage(failure) and self._damage is None:
                self._damage = explained(failure, self.path)
            self._trouble = explained(failure, self.path)
            if self.path is not None:
                self.engine.dispose()  # connections opened while the folder was read-only stay so
        elif None in errors:
            self._trouble = None
        if (previous is None) != (self._trouble is None):
            if self._trouble:
                log.error("store_unavailable", error=type(failure).__name__, damaged=self._damage is not None)
            else:
                log.info("store_recovered")
            if self._loop and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._apply_state)

    def _apply_state(self) -> None:
        if self._trouble is None:
            self._available.set()
            self._unavailable.clear()
        else:
            self._available.clear()
            self._unavailable.set()
        self.on_state_change()


def _run_batch(connection: Connection, batch: list[_Work]) -> None:
    """Run all in order; writes that share a function run with the first of them."""
    together: dict[Any, list[_Work]] = {}
    for work in batch:
        work.error = None
        together.setdefault(work.batch_work or work, []).append(work)
    for works in together.values():
        first = works[0]
        if first.work is not None:
            first.result = first.work(connection)
        elif first.batch_work is not None:
            results = first.batch_work(connection, [work.item for work in works])
            for work, result in zip(works, results, strict=True):
                work.result = result


def _deliver(batch: list[_Work], callbacks: list[Callable[[], None]]) -> None:
    for work in batch:
        if work.done.done():
            continue
        if work.error is not None:
            work.done.set_exception(work.error)
        else:
            work.done.set_result(work.result)
    for callback in callbacks:
        try:
            callback()
        except BaseException:  # a plugin's callback must not stop the others
            log.exception("after_commit_failed", callback=getattr(callback, "__qualname__", str(callback)))


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        name = f"kommunevert on {socket.gethostname()}, process {os.getpid()}"[:63]
        connect_options = {"connect_timeout": CONNECT_SECONDS, "application_name": name}
        return create_engine(
            url, pool_size=READERS + 2, pool_pre_ping=True, hide_parameters=True, connect_args=connect_options
        )
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 60}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, see below; the driver must not
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = threading.current_thread().name == "store-write"
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
