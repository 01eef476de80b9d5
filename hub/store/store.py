"""The store: SQLAlchemy Core on SQLite or PostgreSQL, behind two verbs, `write` and `read`.

All writing goes through one thread, in the order asked. What waits while the disk syncs is committed together
(group commit): a burst of check-ins costs one fsync, and nobody hears "done" before that fsync.

The database may be away, locked, full or read-only. Whoever asks gets `hub.store.trouble.in_store(error)` then,
`problem` says what it is, and `until_well` returns as soon as something could be written again. A database that is
found damaged is not written to any more: `hub.store.trouble.DamagedStoreError`.
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

from hub.store.database_hold import DatabaseHold
from hub.store.trouble import DamagedStoreError, explained, in_store, is_damage

log = structlog.get_logger("store")

T = TypeVar("T")
Item = TypeVar("Item")
MOST_TOGETHER = 500
READERS = 2
CHECKPOINT_SECONDS = 2.0
LONG_WAIT_SECONDS = 2.0
"""A write that takes longer says that the database, or another program, keeps us waiting."""
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
"""`auto_vacuum`: room can be given back; it counts for a new database only, and must come first (retention.py).
`synchronous=FULL`: a commit is on the disk when it returns (D10). SQLite's own checkpoint is a belt, see below."""


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


def after_commit(connection: Connection, call: Callable[[], None]) -> None:
    """Have `call` run on the loop once what this connection wrote is durable; equal calls run once a commit."""
    connection.info.setdefault("after_commit", {})[call] = None


@dataclass(slots=True, eq=False)
class _Work:
    """`do` alone, or `do_all` together with all others that wait for the same function."""

    done: asyncio.Future[Any]
    do: Callable[[Connection], Any] | None = None
    do_all: Callable[[Connection, list[Any]], list[Any]] | None = None
    item: Any = None
    result: Any = field(default=None)
    error: BaseException | None = field(default=None)


class Store:
    """Open it with `await open()`, close it with `await close()`."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.path = Path(self.engine.url.database or "") if self.engine.dialect.name == "sqlite" else None
        self.changed: Callable[[], None] = lambda: None
        """Called on the loop when `problem` comes or goes."""
        self._hold: DatabaseHold | None = None
        self._trouble: str | None = None
        self._damage: str | None = None
        self._writing_since: float | None = None
        self._well = asyncio.Event()
        self._well.set()
        self._ill = asyncio.Event()
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._writer = threading.Thread(target=self._write_all, name="store-write", daemon=True)
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self, *, is_the_hub: bool = False) -> None:
        """`is_the_hub`: PostgreSQL's advisory lock says from now on that nobody else is; SQLite's folder has one.

        Raises sqlalchemy.exc.OperationalError when the database cannot be reached, HeldError when a hub works on it.
        """
        self._loop = asyncio.get_running_loop()
        if is_the_hub and self.path is None:
            self._hold = DatabaseHold(self.engine)
            await asyncio.to_thread(self._hold.take)
        await asyncio.to_thread(self._check)
        self._writer.start()

    @property
    def problem(self) -> str | None:
        """Why nothing can be written at present; None when it can."""
        if self._damage or self._trouble:
            return self._damage or self._trouble
        since = self._writing_since
        waited = 0.0 if since is None else time.monotonic() - since
        if waited > LONG_WAIT_SECONDS:
            return f"has kept us waiting for {waited:.0f} s: another program holds it, or its disk stalls"
        return None

    async def until_well(self) -> None:
        """Returns at once while there is no trouble."""
        await self._well.wait()

    async def until_ill(self) -> None:
        """Returns when something could not be written or read because of the database itself."""
        while self._well.is_set():
            await self._ill.wait()

    async def close(self) -> None:
        """What was asked before is still written."""
        if self._writer.is_alive():
            self._queue.put(None)
            await asyncio.to_thread(self._writer.join)
        self._readers.shutdown()
        if self._hold is not None:
            self._hold.release()
        self.engine.dispose()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the writer's thread; returns once its transaction is durable.

        `work` may run twice: when a batch fails, each part is tried again alone. It must do nothing but read and
        write through the connection. Raises what `work` raises, or SQLAlchemyError when the commit failed.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Work(future, do=work))
        return await future

    async def write_with_others(self, work: Callable[[Connection, list[Item]], list[T]], item: Item) -> T:
        """As `write`, for what comes in bursts: `work` gets all items that wait for it, and gives a result for each.

        One statement can then serve many. `work` is the same function at every call (compared by ==).
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Work(future, do_all=work, item=item))
        return await future

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a reader's thread on a connection of its own. It sees what has been committed."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.reading, work)

    def reading(self, work: Callable[[Connection], T]) -> T:
        """As `read`, in the calling thread, which is not the loop's."""
        try:
            with self.engine.connect() as connection:
                return work(connection)
        except Exception as error:
            if in_store(error):
                self._note([error])
            raise

    # -- the writer's thread

    def _check(self) -> None:
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, more = [first], True
            while more and len(batch) < MOST_TOGETHER:
                try:
                    work = self._queue.get_nowait()
                except queue.Empty:
                    break
                if work is None:
                    more = False
                else:
                    batch.append(work)
            self._write_batch(batch)
            if not more:
                return
            if self.engine.dialect.name == "sqlite" and time.monotonic() > self._checkpoint_at:
                self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
                self._readers.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        """SQLite's log into its database, beside the writer: in its own commit it would keep a visitor waiting."""
        connection = self.engine.raw_connection()  # outside a transaction, where SQLite wants it
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            log.warning("checkpoint_failed", error=str(error))  # the log grows; the next one may do
        finally:
            connection.close()

    def _write_batch(self, batch: list[_Work]) -> None:
        calls: dict[Callable[[], None], None] = {}
        self._writing_since = time.monotonic()
        try:
            self._commit(batch, calls)
        except Exception as error:  # noqa: BLE001 (whatever a part raised is handed to that part's caller)
            if len(batch) == 1 or in_store(error):  # it is nobody's part: each alone would fail, and wait, as well
                for work in batch:
                    work.error = error
            else:
                for work in batch:
                    try:
                        self._commit([work], calls)
                    except Exception as own:  # noqa: BLE001
                        work.error = own
        self._writing_since = None
        self._note([work.error for work in batch])
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_tell, batch, list(calls))

    def _commit(self, batch: list[_Work], calls: dict[Callable[[], None], None]) -> None:
        if self._damage is not None:
            raise DamagedStoreError(self._damage)
        if self._hold is not None and self._trouble is not None:
            self._hold.take()  # it ended with its connection, and somebody else may have it now
        with self.engine.connect() as connection:
            connection.info.pop("after_commit", None)
            with connection.begin():
                _do(connection, batch)
            calls.update(connection.info.pop("after_commit", {}))

    def _note(self, errors: list[BaseException | None]) -> None:
        """After each batch and each failed read; a batch that was written says that all is well."""
        found = next((error for error in errors if error is not None and in_store(error)), None)
        before = self._trouble
        if found is not None:
            if is_damage(found) and self._damage is None:
                self._damage = explained(found, self.path)
            self._trouble = explained(found, self.path)
            if self.path is not None:
                self.engine.dispose()  # what was opened while the folder was read-only would stay so
        elif None in errors:
            self._trouble = None
        if (before is None) != (self._trouble is None):
            if self._trouble:
                log.error("store_unavailable", error=type(found).__name__, damaged=self._damage is not None)
            else:
                log.info("store_recovered")
            if self._loop and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._tell_state)

    def _tell_state(self) -> None:
        if self._trouble is None:
            self._well.set()
            self._ill.clear()
        else:
            self._well.clear()
            self._ill.set()
        self.changed()


def _do(connection: Connection, batch: list[_Work]) -> None:
    """Each in its turn; those that share a function when the first of them has its turn."""
    together: dict[Any, list[_Work]] = {}
    for work in batch:
        work.error = None
        together.setdefault(work.do_all or work, []).append(work)
    for works in together.values():
        first = works[0]
        if first.do is not None:
            first.result = first.do(connection)
        elif first.do_all is not None:
            results = first.do_all(connection, [work.item for work in works])
            for work, result in zip(works, results, strict=True):
                work.result = result


def _tell(batch: list[_Work], calls: list[Callable[[], None]]) -> None:
    for work in batch:
        if work.done.done():
            continue
        if work.error is not None:
            work.done.set_exception(work.error)
        else:
            work.done.set_result(work.result)
    for call in calls:
        try:
            call()
        except BaseException:  # a plugin's; those after it must hear of their commit
            log.exception("after_commit_failed", call=getattr(call, "__qualname__", str(call)))


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        name = f"kommunevert on {socket.gethostname()}, process {os.getpid()}"[:63]
        patience = {"connect_timeout": CONNECT_SECONDS, "application_name": name}
        return create_engine(
            url, pool_size=READERS + 2, pool_pre_ping=True, hide_parameters=True, connect_args=patience
        )
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 60}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, see below; the driver must not
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = threading.current_thread().name == "store-write"
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
