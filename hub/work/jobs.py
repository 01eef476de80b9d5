"""Durable jobs: rows that stay due until their run has ended.

One process runs them, so no row ever says "running". A row is there if, and only if, the transaction that asked for it
is. Before a run starts, the start is counted in the store; the count goes when the run ends, however it ends. Whatever
still has one after a crash was running then. After three such starts the job is given up: it may be what kills the hub.

Each plugin has SLOTS of its own: a thousand due rows of one delay nobody else's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from prometheus_client import Counter
from sqlalchemy import Connection

from hub.hooks.guard import Owner, call_guarded, guarded, kernel_task
from hub.hooks.pausable_timeout import PausableTimeout
from hub.store.live import Live
from hub.store.store import Store, after_commit, now
from hub.work import job_rows as rows
from hub.work.job_rows import JobState, Key, Run
from hub.work.schedules import Schedule

jobs_total = Counter("jobs_total", "Runs of plugins' jobs that have ended", ["plugin", "outcome"])

LOOK_SECONDS = 30.0
"""Due times are looked at so often whatever happens: a clock may have been set."""
LIMIT_SECONDS = 300.0
END_SECONDS = 7.0
"""Longer than the guard leaves a task that ignores its cancellation (hub/hooks/guard.py)."""


class Host(Protocol):
    """Whose work it is, and who hears of its failures."""

    def owner(self, name: str) -> Owner | None: ...

    def raised(self, plugin: str, where: str, error: BaseException) -> None: ...


Work = Callable[[Run], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Declared:
    work: Work
    seconds: float
    schedule: Schedule | None


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

        await self._store.write(lambda connection: rows.put_schedule(connection, plugin, job, due))
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
        rows.put(connection, plugin, job, key, due_at, dict(data))
        after_commit(connection, self._ring.set)

    def cancel(self, connection: Connection, plugin: str, job: str, key: str) -> None:
        """Part of the caller's transaction. A run that has begun goes on."""
        self.drop(connection, plugin, job, key)

    async def started(self, plugin: str) -> None:
        """The plugin has declared all it has: schedules of its that are not among it are forgotten."""
        scheduled = [name for name, one in self._declared.get(plugin, {}).items() if one.schedule is not None]
        if await self._store.read(lambda connection: rows.has_other_schedules(connection, plugin, scheduled)):
            await self._store.write(lambda connection: rows.drop_other_schedules(connection, plugin, scheduled))

    async def stopped(self, plugin: str) -> None:
        """Its runs are cancelled, which is no failure; its jobs wait until it is back."""
        self._declared.pop(plugin, None)
        await self._cancel([task for (name, _, _), task in self._running.items() if name == plugin])
        self._ring.set()

    # -- what the console asks for

    async def states(self) -> list[JobState]:
        """All schedules, then what was given up, then what is due soonest; 500 in all at most."""
        return await self._store.read(rows.states)

    def run_now(self, connection: Connection, plugin: str, job: str, key: str) -> bool:
        """Due at once, also when it was given up. False when there is no such job."""
        after_commit(connection, self._on_change)
        return rows.run_now(connection, plugin, job, key)

    def drop(self, connection: Connection, plugin: str, job: str, key: str) -> bool:
        """It is never done. False when there is no such job, or it is a schedule."""
        after_commit(connection, self._on_change)
        return rows.drop(connection, plugin, job, key)

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
                    self.given_up = await self._store.read(rows.count_given_up)
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
        due = await self._store.read(lambda connection: rows.due(connection, names, running))
        suspects = [row for row in due if row.starts]
        self._waits_for_quiet = bool(suspects and self._running)
        if not due or self._waits_for_quiet:
            return False
        if suspects:
            due = suspects[:1]
            self._suspect = rows.key_of(due[0])
        await self._store.write(lambda connection: rows.count_starts(connection, due))
        for row in due:
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
            self._ended.append((run, rows.CANCELLED))
        elif row.starts >= rows.MAX_UNENDED:
            self._ended.append((run, rows.UNENDED))
        else:
            task = self._running[rows.key_of(row)] = kernel_task(
                self._work(run, declared), name=f"{row.plugin}: {row.job}"
            )
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
            self._ended.append((run, rows.CANCELLED))
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
            await self._store.write(lambda connection: rows.end(connection, ended))
        except BaseException:
            self._ended = ended + self._ended
            raise
        for run, error in ended:
            self._running.pop((run.plugin, run.job, run.key), None)
            jobs_total.labels(run.plugin, "done" if error is None else "failed" if error else "cancelled").inc()
        self._counts_are_stale = True

    async def _seconds_to_next(self) -> float:
        free = {
            plugin: list(declared)
            for plugin, declared in self._declared.items()
            if sum(key[0] == plugin for key in self._running) < rows.SLOTS
        }
        if not free or self._suspect in self._running:
            return LOOK_SECONDS  # the end of a run rings
        running = frozenset(self._running)

        next_at = await self._store.read(lambda connection: rows.next_due(connection, free, running))
        if next_at is None:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max((next_at - now()).total_seconds(), 0.0))

    def _on_change(self) -> None:
        self._counts_are_stale = True
        self._ring.set()

    def _declare(self, plugin: str, job: str, declared: _Declared) -> None:
        self._declared.setdefault(plugin, {})[job] = declared
