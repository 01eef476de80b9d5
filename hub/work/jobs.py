"""Durable jobs: rows that stay due until their run has ended.

One process runs them, so no row ever says "running". A row is there if, and only if, the transaction that asked for it
is. Before a run starts, the start is counted in the store; the count goes when the run ends, however it ends. Whatever
still has one after a crash was running then. After three such starts the job is given up: it may be what kills the hub.

Each plugin has SLOTS of its own: a thousand due rows of one delay nobody else's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from uuid import uuid4
from zoneinfo import ZoneInfo

import orjson
import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, select, update

from hub.hooks.guard import Owner, call_guarded, guarded, kernel_task
from hub.hooks.pausable_timeout import PausableTimeout
from hub.store.live import Live
from hub.store.store import Store, after_commit, now
from hub.store.tables import job as table
from hub.work.schedules import Schedule

log = structlog.get_logger("jobs")

jobs_total = Counter("jobs_total", "Runs of plugins' jobs that have ended", ["plugin", "outcome"])

SLOTS = 4
LOOK_SECONDS = 30.0
"""Due times are looked at so often whatever happens: a clock may have been set."""
LIMIT_SECONDS = 300.0
END_SECONDS = 7.0
"""Longer than the guard leaves a task that ignores its cancellation (hub/hooks/guard.py)."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(hours=24)
"""Since it was due, and not before MIN_ATTEMPTS: a clock that jumps ahead gives nothing up."""
MIN_ATTEMPTS = 10
MAX_UNENDED = 3
UNENDED = "the hub ended during each of three runs"
CANCELLED = ""
MAX_ROWS = 100_000
"""A plugin."""
MAX_BYTES = 4096
"""Of a job's data, as JSON."""
LONGEST_KEY = 120
MAX_SHOWN = 500


class Host(Protocol):
    """Whose work it is, and who hears of its failures."""

    def owner(self, name: str) -> Owner | None: ...

    def raised(self, plugin: str, where: str, error: BaseException) -> None: ...


class TooManyJobsError(RuntimeError):
    """The plugin has MAX_ROWS jobs waiting."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job. It comes at least once; `settle` makes its effect in the store exactly once."""

    job: str
    key: str
    due_at: datetime
    data: dict[str, Any]
    attempt: int
    """1 at the first."""
    plugin: str
    mark: str
    """Of this due time: a job that is asked for anew gets another."""
    schedule: Schedule | None
    zone: ZoneInfo

    def settle(self, connection: Connection) -> bool:
        """Within the work's own transaction: the job is done if, and only if, that is durable.

        False when it was done before, or asked for anew meanwhile: then write nothing.
        """
        return _settled(connection, self)


Key = tuple[str, str, str]
"""Plugin, job and key."""
Work = Callable[[Run], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Declared:
    work: Work
    seconds: float
    schedule: Schedule | None


@dataclass(frozen=True, slots=True)
class JobState:
    """For the console: `error` is the type of the last failure, never its text."""

    plugin: str
    job: str
    key: str
    is_scheduled: bool
    due_at: datetime
    next_at: datetime
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None
    given_up_at: datetime | None


class Jobs:
    """`run` for ever. Plugins declare their works with `every` and `on_due`, and ask for runs with `at`."""

    def __init__(self, store: Store, host: Host, live: Live, zone: ZoneInfo) -> None:
        self.given_up: dict[str, int] = {}
        """Plugin → how many of its jobs were never done."""
        self._store = store
        self._host = host
        self._live = live
        self._zone = zone
        self._declared: dict[str, dict[str, _Declared]] = {}
        self._ring = asyncio.Event()
        self._running: dict[Key, asyncio.Task[None]] = {}
        """Until their end is written: a row whose run has just ended looks due."""
        self._ended: list[tuple[Run, str | None]] = []
        """Runs, and the type of what they raised, or CANCELLED, which is no attempt; None: done."""
        self._suspect: Key | None = None
        self._waits_for_quiet = False
        self._counts_are_stale = True

    # -- what plugins ask for

    async def every(
        self, plugin: str, job: str, schedule: Schedule, work: Work, *, seconds: float = LIMIT_SECONDS
    ) -> None:
        """Run `work` by this schedule. A time that passed while the hub was away is made up for, once."""
        self._declare(plugin, job, _Declared(work, seconds, schedule))
        due = schedule.after(now(), self._zone)

        def write(connection: Connection) -> None:
            mine = _of(plugin, job, "")
            known = connection.execute(select(table.c.due_at).where(mine)).scalar()
            if known is None:
                connection.execute(insert(table), _row(plugin, job, "", due, {}, is_scheduled=True))
            elif due < known:  # by another schedule than before
                connection.execute(update(table).where(mine).values(due_at=due, next_at=due))

        await self._store.write(write)
        self._ring.set()

    def on_due(self, plugin: str, job: str, work: Work, *, seconds: float = LIMIT_SECONDS) -> None:
        """Run `work` for each `at` of this job."""
        self._declare(plugin, job, _Declared(work, seconds, None))
        self._ring.set()

    def at(
        self,
        connection: Connection,
        plugin: str,
        job: str,
        key: str,
        due_at: datetime,
        data: Mapping[str, Any],
    ) -> None:
        """Part of the caller's transaction. The same key again moves it; `data` holds ids, nothing personal.

        Raises ValueError for what is too large, TooManyJobsError.
        """
        if not 0 < len(key) <= LONGEST_KEY:
            raise ValueError(f"a job's key has 1 to {LONGEST_KEY} characters")
        if len(orjson.dumps(dict(data))) > MAX_BYTES:
            raise ValueError(f"a job's data has at most {MAX_BYTES} bytes")
        mine = select(table.c.key).where(table.c.plugin == plugin)
        if connection.execute(mine.offset(MAX_ROWS - 1).limit(1)).first() is not None:
            raise TooManyJobsError(f"{plugin} has {MAX_ROWS} jobs already")
        connection.execute(delete(table).where(_of(plugin, job, key)))
        connection.execute(insert(table), _row(plugin, job, key, due_at, dict(data), is_scheduled=False))
        after_commit(connection, self._ring.set)

    def cancel(self, connection: Connection, plugin: str, job: str, key: str) -> None:
        """Part of the caller's transaction. A run that has begun goes on."""
        self.drop(connection, plugin, job, key)

    async def started(self, plugin: str) -> None:
        """The plugin has declared all it has: schedules of its that are not among it are forgotten."""
        scheduled = [name for name, one in self._declared.get(plugin, {}).items() if one.schedule is not None]
        old = and_(table.c.plugin == plugin, table.c.is_scheduled, table.c.job.not_in(scheduled))
        if await self._store.read(lambda connection: connection.execute(select(table.c.job).where(old)).first()):
            await self._store.write(lambda connection: connection.execute(delete(table).where(old)))

    async def stopped(self, plugin: str) -> None:
        """Its runs are cancelled, which is no failure; its jobs wait until it is back."""
        self._declared.pop(plugin, None)
        await self._cancel([task for (name, _, _), task in self._running.items() if name == plugin])
        self._ring.set()

    # -- what the console asks for

    async def states(self) -> list[JobState]:
        """All schedules, then what was given up, then what is due soonest; at most MAX_SHOWN in all."""
        order = table.c.is_scheduled.desc(), table.c.given_up_at.is_(None), table.c.next_at
        query = select(table).order_by(*order).limit(MAX_SHOWN)
        return await self._store.read(lambda connection: [_state(row) for row in connection.execute(query)])

    def run_now(self, connection: Connection, plugin: str, job: str, key: str) -> bool:
        """Due at once, also when it was given up. False when there is no such job."""
        values = {"next_at": now(), "attempts": 0, "starts": 0, "given_up_at": None}
        after_commit(connection, self._on_change)
        return connection.execute(update(table).where(_of(plugin, job, key)).values(values)).rowcount == 1

    def drop(self, connection: Connection, plugin: str, job: str, key: str) -> bool:
        """It is never done. False when there is no such job, or it is a schedule."""
        mine = and_(_of(plugin, job, key), table.c.is_scheduled.is_(False))
        after_commit(connection, self._on_change)
        return connection.execute(delete(table).where(mine)).rowcount == 1

    # -- running

    async def run(self) -> None:
        """For ever. Raises what the store raises, and may be begun anew."""
        try:
            while True:
                self._ring.clear()
                if self._ended:
                    await self._write_ended()
                if self._counts_are_stale:
                    self._counts_are_stale = False
                    self.given_up = await self._store.read(_given_up)
                    self._live.touch("plugins")
                if not await self._begin_due() and not self._ended:
                    seconds = LOOK_SECONDS if self._waits_for_quiet else await self._seconds_to_next()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(seconds):
                            await self._ring.wait()
        finally:
            await self._cancel(list(self._running.values()))
            with suppress(Exception):  # the store may be what has ended us: then the starts stay counted
                async with asyncio.timeout(END_SECONDS):
                    await self._write_ended()

    async def _begin_due(self) -> bool:
        """Start what is due and has a free slot. What was running when the hub ended runs alone, before the rest."""
        if self._suspect in self._running:
            return False
        self._suspect = None
        names = {plugin: list(declared) for plugin, declared in self._declared.items()}
        running = frozenset(self._running)
        rows = await self._store.read(lambda connection: _due(connection, names, running))
        suspects = [row for row in rows if row.starts]
        self._waits_for_quiet = bool(suspects and self._running)
        if not rows or self._waits_for_quiet:
            return False
        if suspects:
            rows = suspects[:1]
            self._suspect = _key(rows[0])
        await self._store.write(lambda connection: _count_starts(connection, rows))
        for row in rows:
            self._start(row)
        return True

    def _start(self, row: Any) -> None:
        declared = self._declared.get(row.plugin, {}).get(row.job)
        run = Run(
            row.job,
            row.key,
            row.due_at,
            row.data,
            row.attempts + 1,
            row.plugin,
            row.mark,
            declared.schedule if declared else None,
            self._zone,
        )
        if declared is None:  # the plugin has stopped meanwhile
            self._ended.append((run, CANCELLED))
        elif row.starts >= MAX_UNENDED:
            self._ended.append((run, UNENDED))
        else:
            task = self._running[_key(row)] = kernel_task(self._work(run, declared), name=f"{row.plugin}: {row.job}")
            task.add_done_callback(partial(self._on_done, run))

    @staticmethod
    async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_SECONDS)

    async def _work(self, run: Run, declared: _Declared) -> None:
        owner = self._host.owner(run.plugin)
        with PausableTimeout(declared.seconds):
            if owner is None:
                await declared.work(run)
            else:
                await guarded(owner, call_guarded(owner, declared.work, run))

    def _on_done(self, run: Run, task: asyncio.Task[None]) -> None:
        """Also called for a task that was cancelled before its first step."""
        if task.cancelled():
            self._ended.append((run, CANCELLED))
        elif (error := task.exception()) is not None:
            self._host.raised(run.plugin, f"job {run.job}", error)
            self._ended.append((run, type(error).__name__[:80]))
        else:
            self._ended.append((run, None))
        self._ring.set()

    async def _write_ended(self) -> None:
        ended = self._ended
        if not ended:
            return
        self._ended = []
        try:
            await self._store.write(lambda connection: _end_all(connection, ended))
        except BaseException:
            self._ended = ended + self._ended
            raise
        for run, error in ended:
            self._running.pop((run.plugin, run.job, run.key), None)
            jobs_total.labels(run.plugin, "done" if error is None else "failed" if error else "cancelled").inc()
        self._counts_are_stale = True

    async def _seconds_to_next(self) -> float:
        free = [
            (plugin, list(declared))
            for plugin, declared in self._declared.items()
            if sum(key[0] == plugin for key in self._running) < SLOTS
        ]
        if not free or self._suspect in self._running:
            return LOOK_SECONDS  # the end of a run rings
        running = frozenset(self._running)

        def read(connection: Connection) -> datetime | None:
            soonest: list[datetime] = []
            for plugin, names in free:
                mine = and_(table.c.plugin == plugin, table.c.given_up_at.is_(None), table.c.job.in_(names))
                query = select(table).where(mine).order_by(table.c.next_at).limit(len(running) + 1)
                rows = [row.next_at for row in connection.execute(query) if _key(row) not in running]
                soonest += rows[:1]
            return min(soonest, default=None)

        next_at = await self._store.read(read)
        if next_at is None:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max((next_at - now()).total_seconds(), 0.0))

    def _on_change(self) -> None:
        self._counts_are_stale = True
        self._ring.set()

    def _declare(self, plugin: str, job: str, declared: _Declared) -> None:
        self._declared.setdefault(plugin, {})[job] = declared


def _of(plugin: str, job: str, key: str) -> ColumnElement[bool]:
    return and_(table.c.plugin == plugin, table.c.job == job, table.c.key == key)


def _same(run: Run) -> ColumnElement[bool]:
    """The row of this very run, and not of one that was asked for since."""
    return and_(_of(run.plugin, run.job, run.key), table.c.mark == run.mark)


def _key(row: Any) -> Key:
    return row.plugin, row.job, row.key


def _due(connection: Connection, names: Mapping[str, list[str]], running: frozenset[Key]) -> list[Any]:
    """Of each plugin's jobs of these names, as many as it has slots free."""
    found: list[Any] = []
    at = now()
    for plugin, jobs in names.items():
        busy = sum(key[0] == plugin for key in running)
        if busy >= SLOTS:
            continue
        mine = and_(
            table.c.plugin == plugin, table.c.next_at <= at, table.c.given_up_at.is_(None), table.c.job.in_(jobs)
        )
        query = select(table).where(mine).order_by(table.c.starts.desc(), table.c.next_at).limit(SLOTS + busy)
        found += [row for row in connection.execute(query) if _key(row) not in running][: SLOTS - busy]
    return found


def _row(plugin: str, job: str, key: str, due: datetime, data: dict[str, Any], *, is_scheduled: bool) -> dict[str, Any]:
    return {
        "plugin": plugin,
        "job": job,
        "key": key,
        "is_scheduled": is_scheduled,
        "mark": uuid4().hex,
        "due_at": due,
        "next_at": due,
        "data": data,
        "starts": 0,
        "attempts": 0,
    }


def _state(row: Any) -> JobState:
    return JobState(
        row.plugin,
        row.job,
        row.key,
        row.is_scheduled,
        row.due_at,
        row.next_at,
        row.attempts,
        row.started_at,
        row.ended_at,
        row.error,
        row.given_up_at,
    )


def _given_up(connection: Connection) -> dict[str, int]:
    """How many jobs of each plugin."""
    count = func.count().label("number")
    query = select(table.c.plugin, count).where(table.c.given_up_at.is_not(None)).group_by(table.c.plugin)
    return {row.plugin: row.number for row in connection.execute(query)}


def _count_starts(connection: Connection, rows: Iterable[Any]) -> None:
    mine = and_(table.c.plugin == bindparam("p"), table.c.job == bindparam("j"), table.c.key == bindparam("k"))
    connection.execute(
        update(table).where(mine).values(starts=table.c.starts + 1, started_at=now()),
        [{"p": row.plugin, "j": row.job, "k": row.key} for row in rows],
    )


def _settled(connection: Connection, run: Run) -> bool:
    if run.schedule is None:
        return connection.execute(delete(table).where(_same(run))).rowcount == 1
    return connection.execute(update(table).where(_same(run)).values(_next(run, run.schedule))).rowcount == 1


def _next(run: Run, schedule: Schedule) -> dict[str, Any]:
    """A schedule's row after a run that was good."""
    at = now()
    due = schedule.after(max(at, run.due_at), run.zone)
    return {
        "due_at": due,
        "next_at": due,
        "mark": uuid4().hex,
        "starts": 0,
        "attempts": 0,
        "ended_at": at,
        "error": None,
        "given_up_at": None,
    }


def _end_all(connection: Connection, ended: Iterable[tuple[Run, str | None]]) -> None:
    for run, error in ended:
        if error is None:
            _settled(connection, run)  # nothing happens when the work has done it
        elif error == CANCELLED:
            connection.execute(update(table).where(_same(run)).values(starts=0))
        else:
            values = _failed(run, error)
            connection.execute(update(table).where(_same(run)).values(values))
            if "given_up_at" in values:
                log.error("job_abandoned", plugin=run.plugin, job=run.job, error=error)


def _failed(run: Run, error: str) -> dict[str, Any]:
    """What becomes of its row: tried again with growing waits, at its next time if that is sooner, or given up."""
    at = now()
    wait = min(FIRST_WAIT * 2 ** min(run.attempt - 1, 20), LONGEST_WAIT)
    values: dict[str, Any] = {
        "next_at": at + wait,
        "starts": 0,
        "attempts": run.attempt,
        "ended_at": at,
        "error": error,
    }
    if run.schedule is not None:
        slot = run.schedule.after(max(at, run.due_at), run.zone)
        if error == UNENDED or slot <= at + wait:
            values |= {"due_at": slot, "next_at": slot, "attempts": 0}
    elif error == UNENDED or (run.attempt >= MIN_ATTEMPTS and at - run.due_at > GIVEN_UP_AFTER):
        values["given_up_at"] = at
    return values
