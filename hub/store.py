"""The store: SQLAlchemy Core on SQLite or PostgreSQL, behind two verbs, `write` and `read`.

All writing goes through one thread, in the order asked. What waits while the disk syncs is committed together
(group commit): a burst of check-ins costs one fsync, and nobody hears "done" before that fsync.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, DateTime, Dialect, Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeDecorator

log = structlog.get_logger("store")

T = TypeVar("T")
Item = TypeVar("Item")
MOST_TOGETHER = 500
READERS = 2
CHECKPOINT_SECONDS = 2.0
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=20000", "foreign_keys=ON", "busy_timeout=60000")
"""`synchronous=FULL`: a commit is on the disk when it returns (D10). SQLite's own checkpoint is a belt, see below."""


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
        self.problem: str | None = None
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._writer = threading.Thread(target=self._write_all, name="store-write", daemon=True)
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Raises sqlalchemy.exc.OperationalError when the database cannot be reached."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._check)
        self._writer.start()

    async def close(self) -> None:
        """What was asked before is still written."""
        if self._writer.is_alive():
            self._queue.put(None)
            await asyncio.to_thread(self._writer.join)
        self._readers.shutdown()
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

        def reading() -> T:
            with self.engine.connect() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, reading)

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
        try:
            self._commit(batch, calls)
        except Exception as error:  # noqa: BLE001 (whatever a part raised is handed to that part's caller)
            if len(batch) == 1:
                batch[0].error = error
            else:
                for work in batch:
                    try:
                        self._commit([work], calls)
                    except Exception as own:  # noqa: BLE001
                        work.error = own
        self._note(batch)
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_tell, batch, list(calls))

    def _commit(self, batch: list[_Work], calls: dict[Callable[[], None], None]) -> None:
        with self.engine.connect() as connection:
            connection.info.pop("after_commit", None)
            with connection.begin():
                _do(connection, batch)
            calls.update(connection.info.pop("after_commit", {}))

    def _note(self, batch: list[_Work]) -> None:
        failed = [work.error for work in batch if isinstance(work.error, SQLAlchemyError)]
        self.problem = str(getattr(failed[0], "orig", failed[0])) if failed else None
        if self.problem:
            log.error("store_write_failed", problem=type(failed[0]).__name__, parts=len(failed))


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
        return create_engine(url, pool_size=READERS + 2, pool_pre_ping=True, hide_parameters=True)
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
