"""Jobs in and out of their table. Plain functions on a connection: they run in the store's threads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import orjson
import structlog
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, select, update

from hub.store.store import now
from hub.store.tables import job as table
from hub.work.schedules import Schedule

log = structlog.get_logger("jobs")

SLOTS = 4
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

Key = tuple[str, str, str]
"""Plugin, job and key."""


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
        return settle(connection, self)


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


def put_schedule(connection: Connection, plugin: str, job: str, due: datetime) -> None:
    """A schedule that is new, or due sooner than before."""
    mine = _of(plugin, job, "")
    known = connection.execute(select(table.c.due_at).where(mine)).scalar()
    if known is None:
        connection.execute(insert(table), new_row(plugin, job, "", due, {}, is_scheduled=True))
    elif due < known:
        connection.execute(update(table).where(mine).values(due_at=due, next_at=due))


def has_other_schedules(connection: Connection, plugin: str, names: list[str]) -> bool:
    return connection.execute(select(table.c.job).where(_other_schedules(plugin, names))).first() is not None


def drop_other_schedules(connection: Connection, plugin: str, names: list[str]) -> None:
    connection.execute(delete(table).where(_other_schedules(plugin, names)))


def put(connection: Connection, plugin: str, job: str, key: str, due: datetime, data: dict[str, Any]) -> None:
    """In place of one with this key. Raises ValueError for what is too large, TooManyJobsError."""
    if not 0 < len(key) <= LONGEST_KEY:
        raise ValueError(f"a job's key has 1 to {LONGEST_KEY} characters")
    if len(orjson.dumps(data)) > MAX_BYTES:
        raise ValueError(f"a job's data has at most {MAX_BYTES} bytes")
    mine = select(table.c.key).where(table.c.plugin == plugin)
    if connection.execute(mine.offset(MAX_ROWS - 1).limit(1)).first() is not None:
        raise TooManyJobsError(f"{plugin} has {MAX_ROWS} jobs already")
    connection.execute(delete(table).where(_of(plugin, job, key)))
    connection.execute(insert(table), new_row(plugin, job, key, due, data, is_scheduled=False))


def run_now(connection: Connection, plugin: str, job: str, key: str) -> bool:
    values = {"next_at": now(), "attempts": 0, "starts": 0, "given_up_at": None}
    return connection.execute(update(table).where(_of(plugin, job, key)).values(values)).rowcount == 1


def drop(connection: Connection, plugin: str, job: str, key: str) -> bool:
    mine = and_(_of(plugin, job, key), table.c.is_scheduled.is_(False))
    return connection.execute(delete(table).where(mine)).rowcount == 1


def states(connection: Connection) -> list[JobState]:
    order = table.c.is_scheduled.desc(), table.c.given_up_at.is_(None), table.c.next_at
    return [state_of(row) for row in connection.execute(select(table).order_by(*order).limit(MAX_SHOWN))]


def next_due(connection: Connection, names: Mapping[str, list[str]], running: frozenset[Key]) -> datetime | None:
    """When the next of each plugin's jobs of these names is due that does not run."""
    soonest: list[datetime] = []
    for plugin, jobs in names.items():
        mine = and_(table.c.plugin == plugin, table.c.given_up_at.is_(None), table.c.job.in_(jobs))
        query = select(table).where(mine).order_by(table.c.next_at).limit(len(running) + 1)
        soonest += [row.next_at for row in connection.execute(query) if key_of(row) not in running][:1]
    return min(soonest, default=None)


def _other_schedules(plugin: str, names: list[str]) -> ColumnElement[bool]:
    return and_(table.c.plugin == plugin, table.c.is_scheduled, table.c.job.not_in(names))


def _of(plugin: str, job: str, key: str) -> ColumnElement[bool]:
    return and_(table.c.plugin == plugin, table.c.job == job, table.c.key == key)


def _same(run: Run) -> ColumnElement[bool]:
    """The row of this very run, and not of one that was asked for since."""
    return and_(_of(run.plugin, run.job, run.key), table.c.mark == run.mark)


def key_of(row: Any) -> Key:
    return row.plugin, row.job, row.key


def due(connection: Connection, names: Mapping[str, list[str]], running: frozenset[Key]) -> list[Any]:
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
        found += [row for row in connection.execute(query) if key_of(row) not in running][: SLOTS - busy]
    return found


def new_row(
    plugin: str, job: str, key: str, due: datetime, data: dict[str, Any], *, is_scheduled: bool
) -> dict[str, Any]:
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


def state_of(row: Any) -> JobState:
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


def count_given_up(connection: Connection) -> dict[str, int]:
    """How many jobs of each plugin."""
    count = func.count().label("number")
    query = select(table.c.plugin, count).where(table.c.given_up_at.is_not(None)).group_by(table.c.plugin)
    return {row.plugin: row.number for row in connection.execute(query)}


def count_starts(connection: Connection, rows: Iterable[Any]) -> None:
    mine = and_(table.c.plugin == bindparam("p"), table.c.job == bindparam("j"), table.c.key == bindparam("k"))
    connection.execute(
        update(table).where(mine).values(starts=table.c.starts + 1, started_at=now()),
        [{"p": row.plugin, "j": row.job, "k": row.key} for row in rows],
    )


def settle(connection: Connection, run: Run) -> bool:
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


def end(connection: Connection, ended: Iterable[tuple[Run, str | None]]) -> None:
    for run, error in ended:
        if error is None:
            settle(connection, run)  # nothing happens when the work has done it
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
