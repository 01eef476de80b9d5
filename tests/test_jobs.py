"""Durable jobs: at least once, in their slots, again after failures, and never the hub's end for good."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update

from hub.hooks.guard import Owner
from hub.store.live import Live
from hub.store.store import Store, now
from hub.store.tables import job as table
from hub.work import job_rows as module
from hub.work.job_rows import Run, TooManyJobsError
from hub.work.jobs import Jobs
from hub.work.schedules import Daily, Every, Schedule
from tests.conftest import until, until_async

OSLO = ZoneInfo("Europe/Oslo")


class NoHost:
    """No plugin host: a plugin's work runs as the hub's own would."""

    def raised(self, plugin: str, where: str, error: BaseException) -> None: ...

    def owner(self, name: str) -> Owner | None:
        del name
        return None


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    one = Store(store_url)
    await one.open()
    yield one
    await one.close()


def jobs_of(store: Store) -> Jobs:
    return Jobs(store, NoHost(), Live(), OSLO)


@asynccontextmanager
async def running(jobs: Jobs) -> AsyncIterator[None]:
    task = asyncio.create_task(jobs.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def ask(store: Store, jobs: Jobs, key: str, *, job: str = "j", plugin: str = "p", late: float = 0.0) -> None:
    due = now() - timedelta(seconds=late)
    await store.write(lambda connection: jobs.at(connection, plugin, job, key, due, {"of": key}))


async def rows(store: Store) -> list[Any]:
    """Of the plugins here; ours have theirs, too."""
    query = select(table).where(table.c.plugin.in_(["p", "q", "storm", "another"])).order_by(table.c.job, table.c.key)
    return await store.read(lambda connection: list(connection.execute(query)))


async def until_empty(store: Store) -> None:
    async def is_empty() -> bool:
        return not await rows(store)

    await until_async(is_empty)


class Done:
    """A work that notes what it was given."""

    def __init__(self, *, fails: Callable[[Run], bool] = lambda _run: False) -> None:
        self.runs: list[Run] = []
        self._fails = fails

    async def __call__(self, run: Run) -> None:
        self.runs.append(run)
        if self._fails(run):
            raise ValueError("secret")

    @property
    def keys(self) -> list[str]:
        return [one.key for one in self.runs]


async def test_a_job_is_run_when_it_is_due_and_gone_then(store: Store) -> None:
    jobs, done = jobs_of(store), Done()
    jobs.on_due("p", "j", done)
    async with running(jobs):
        await ask(store, jobs, "later", late=-0.3)
        await ask(store, jobs, "now")
        await until(lambda: done.keys == ["now", "later"])
        await until_empty(store)
    assert done.runs[0].data == {"of": "now"}
    assert done.runs[0].attempt == 1
    assert done.runs[1].due_at <= now()


async def test_it_is_there_only_with_the_transaction_that_asked(store: Store) -> None:
    jobs = jobs_of(store)

    def write(connection: Any) -> None:
        jobs.at(connection, "p", "j", "k", now(), {})
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(write)
    assert await rows(store) == []


async def test_the_same_key_moves_it_and_cancel_takes_it_back(store: Store) -> None:
    jobs, done = jobs_of(store), Done()
    jobs.on_due("p", "j", done)
    await ask(store, jobs, "moved", late=-3600)
    await ask(store, jobs, "moved")
    await ask(store, jobs, "cancelled")
    await store.write(lambda connection: jobs.cancel(connection, "p", "j", "cancelled"))
    async with running(jobs):
        await until_empty(store)
    assert done.keys == ["moved"]


async def test_asked_for_anew_while_it_runs_it_runs_again(store: Store) -> None:
    jobs, going, go_on = jobs_of(store), asyncio.Event(), asyncio.Event()
    runs: list[Run] = []

    async def work(run: Run) -> None:
        runs.append(run)
        going.set()
        await go_on.wait()

    jobs.on_due("p", "j", work)
    async with running(jobs):
        await ask(store, jobs, "k")
        await going.wait()
        await ask(store, jobs, "k")
        go_on.set()
        await until_empty(store)
    assert len(runs) == 2


async def test_settled_is_done_once_with_what_it_wrote(store: Store) -> None:
    jobs = jobs_of(store)
    settled: list[bool] = []

    async def work(run: Run) -> None:
        settled.extend([await store.write(run.settle), await store.write(run.settle)])
        raise ValueError("after its effect")

    jobs.on_due("p", "j", work)
    async with running(jobs):
        await ask(store, jobs, "k")
        await until_empty(store)
        await until(lambda: settled == [True, False])
    assert await rows(store) == []  # what it raised afterwards does not bring it back


async def test_a_failure_comes_again_with_growing_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", timedelta(milliseconds=20))
    jobs, done = jobs_of(store), Done(fails=lambda run: run.attempt < 4)
    jobs.on_due("p", "j", done)
    async with running(jobs):
        await ask(store, jobs, "k")
        await until_empty(store)
    assert [one.attempt for one in done.runs] == [1, 2, 3, 4]
    assert len({one.due_at for one in done.runs}) == 1


async def test_after_a_day_it_is_given_up_and_can_be_run_now_or_dropped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", timedelta())
    monkeypatch.setattr(module, "MIN_ATTEMPTS", 2)
    bad = True
    jobs, done = jobs_of(store), Done(fails=lambda _run: bad)
    jobs.on_due("p", "j", done)
    await ask(store, jobs, "a", late=90_000)
    await ask(store, jobs, "b", late=90_000)
    async with running(jobs):
        await until(lambda: jobs.given_up.get("p") == 2)
    async with running(jobs := jobs_of(store)):  # another start
        jobs.on_due("p", "j", done)
        await until(lambda: jobs.given_up.get("p") == 2)
        found = {one.key: one for one in await jobs.states()}
        assert found["a"].error == "ValueError"  # its type, never what it said
        assert found["a"].given_up_at is not None
        bad = False
        assert await store.write(lambda connection: jobs.run_now(connection, "p", "j", "a"))
        await until(lambda: done.keys.count("a") == 3)
        assert await store.write(lambda connection: jobs.drop(connection, "p", "j", "b"))
        await until_empty(store)
    assert done.keys.count("b") == 2


async def test_one_plugins_storm_takes_its_own_slots_only(store: Store) -> None:
    jobs, go_on, done = jobs_of(store), asyncio.Event(), Done()
    busy: list[str] = []

    async def waits(run: Run) -> None:
        busy.append(run.key)
        await go_on.wait()

    jobs.on_due("storm", "j", waits)
    jobs.on_due("p", "j", done)
    due = now()
    await store.write(
        lambda connection: [jobs.at(connection, "storm", "j", f"{n}", due, {}) for n in range(50)] and None
    )
    async with running(jobs):
        await until(lambda: len(busy) == module.SLOTS)
        await ask(store, jobs, "k")
        await until(lambda: done.keys == ["k"])
        assert len(busy) == module.SLOTS
        go_on.set()
        await until_empty(store)
    assert sorted(busy, key=int) == [f"{n}" for n in range(50)]


async def test_a_work_that_takes_too_long_is_cancelled_and_failed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", timedelta(hours=1))
    jobs = jobs_of(store)

    async def hangs(run: Run) -> None:
        del run
        await asyncio.sleep(3600)

    jobs.on_due("p", "j", hangs, seconds=0.05)
    async with running(jobs):
        await ask(store, jobs, "k")

        async def failed() -> list[Any] | None:
            found = await rows(store)
            return found if found[0].error else None

        found = await until_async(failed)
    assert (found[0].error, found[0].attempts, found[0].starts) == ("TimeoutError", 1, 0)


async def test_a_stop_in_good_order_is_no_attempt(store: Store) -> None:
    jobs, going = jobs_of(store), asyncio.Event()

    async def waits(run: Run) -> None:
        del run
        going.set()
        await asyncio.sleep(3600)

    jobs.on_due("p", "j", waits)
    async with running(jobs):
        await ask(store, jobs, "k")
        await going.wait()
        assert (await rows(store))[0].starts == 1  # counted before it began
    assert [(one.starts, one.attempts, one.error) for one in await rows(store)] == [(0, 0, None)]


async def test_a_plugin_that_stops_takes_its_runs_along_and_finds_its_jobs_again(store: Store) -> None:
    jobs, going, done = jobs_of(store), asyncio.Event(), Done()

    async def waits(run: Run) -> None:
        del run
        going.set()
        await asyncio.sleep(3600)

    jobs.on_due("p", "j", waits)
    async with running(jobs):
        await ask(store, jobs, "k")
        await going.wait()
        await jobs.stopped("p")
        jobs.on_due("p", "j", done)
        await until_empty(store)
    assert [one.attempt for one in done.runs] == [1]


async def unended(store: Store, key: str, starts: int, plugin: str = "p") -> None:
    """As a hub leaves it that is killed during a run."""
    row = module.new_row(plugin, "j", key, now() - timedelta(minutes=1), {}, is_scheduled=False)
    await store.write(lambda connection: connection.execute(insert(table), row | {"starts": starts}) and None)


async def test_what_was_running_when_the_hub_was_killed_runs_alone_and_first(store: Store) -> None:
    jobs = jobs_of(store)
    at_once, most, order = 0, 0, []

    async def work(run: Run) -> None:
        nonlocal at_once, most
        at_once += 1
        order.append(run.key)
        if run.key.startswith("was"):
            most = max(most, at_once)
        await asyncio.sleep(0.02)
        if run.key.startswith("was"):
            most = max(most, at_once)
        at_once -= 1

    jobs.on_due("p", "j", work)
    jobs.on_due("q", "j", work)
    for n in range(6):
        await ask(store, jobs, f"new-{n}", plugin="q", late=600)
    await unended(store, "was-1", 1)
    await unended(store, "was-2", 2)
    async with running(jobs):
        await until_empty(store)
    assert most == 1
    assert sorted(order[:2]) == ["was-1", "was-2"]


async def test_what_may_kill_the_hub_is_given_up_after_three_starts(store: Store) -> None:
    jobs, done = jobs_of(store), Done()
    jobs.on_due("p", "j", done)
    await unended(store, "poison", 3)
    await ask(store, jobs, "good")
    async with running(jobs):
        await until(lambda: done.keys == ["good"])
        await until(lambda: jobs.given_up == {"p": 1})
    found = await rows(store)
    assert [(one.key, one.error) for one in found] == [("poison", module.UNENDED)]


async def test_a_schedule_makes_up_for_what_it_missed_once(store: Store) -> None:
    jobs, done = jobs_of(store), Done()
    await jobs.every("p", "nightly", Every(timedelta(hours=1)), done)
    long_ago = now() - timedelta(days=3)
    await store.write(
        lambda connection: (
            connection.execute(update(table).where(table.c.plugin == "p").values(due_at=long_ago, next_at=long_ago))
            and None
        )
    )
    async with running(jobs):
        await until(lambda: len(done.runs) == 1)

        async def ended() -> list[Any] | None:
            found = await rows(store)
            return found if found[0].ended_at else None

        found = await until_async(ended)
    assert done.runs[0].due_at == long_ago
    assert timedelta(minutes=59) < found[0].due_at - now() <= timedelta(hours=1)
    assert (found[0].starts, found[0].attempts, found[0].error) == (0, 0, None)


async def test_a_schedule_that_is_declared_no_more_is_forgotten(store: Store) -> None:
    jobs, done = jobs_of(store), Done()
    await jobs.every("p", "old", Every(timedelta(hours=1)), done)
    await jobs.every("q", "others", Every(timedelta(hours=1)), done)
    await jobs.stopped("p")
    await jobs.every("p", "new", Every(timedelta(hours=1)), done)
    await jobs.started("p")
    assert [one.job for one in await rows(store)] == ["new", "others"]
    assert not await store.write(lambda connection: jobs.drop(connection, "p", "new", ""))  # a schedule goes on


async def test_too_much_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_of(store)
    with pytest.raises(ValueError, match="4096"):
        await store.write(lambda connection: jobs.at(connection, "p", "j", "k", now(), {"text": "x" * 5000}))
    with pytest.raises(ValueError, match="key"):
        await store.write(lambda connection: jobs.at(connection, "p", "j", "", now(), {}))
    monkeypatch.setattr(module, "MAX_ROWS", 2)
    await ask(store, jobs, "a")
    await ask(store, jobs, "b")
    with pytest.raises(TooManyJobsError):
        await ask(store, jobs, "c")
    await ask(store, jobs, "c", plugin="another")


@pytest.mark.parametrize(
    ("schedule", "last", "due"),
    [
        (Every(timedelta(minutes=5)), "2026-11-30T10:00", "2026-11-30T10:05"),
        (Daily((time(3), time(15))), "2026-11-30T01:59", "2026-11-30T02:00"),
        (Daily((time(15), time(3))), "2026-11-30T02:00", "2026-11-30T14:00"),
        (Daily((time(3),), frozenset({0})), "2026-11-30T02:00", "2026-12-07T02:00"),
        (Daily((time(2, 30),)), "2026-03-28T12:00", "2026-03-29T01:30"),  # that time is skipped: an hour later
        (Daily((time(2, 30),)), "2026-10-24T12:00", "2026-10-25T00:30"),  # it comes twice: the first
    ],
)
def test_when_a_schedule_is_due(schedule: Schedule, last: str, due: str) -> None:
    at = datetime.fromisoformat(last).replace(tzinfo=UTC)
    assert schedule.after(at, OSLO) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong", [lambda: Every(timedelta(seconds=9)), lambda: Daily(()), lambda: Daily((time(3),), frozenset({7}))]
)
def test_schedules_that_make_no_sense_are_refused(wrong: Callable[[], Schedule]) -> None:
    with pytest.raises(ValueError, match="job"):
        wrong()


async def test_a_run_that_is_cancelled_before_its_first_step_keeps_no_slot(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it had run, so nothing noted its end, and its job never came again."""
    jobs, done = jobs_of(store), Done()
    jobs.on_due("p", "j", done)
    begun = jobs._start

    def start_and_stop(row: Any) -> None:
        begun(row)
        for task in jobs._running.values():
            task.cancel()
        monkeypatch.setattr(jobs, "_start", begun)

    monkeypatch.setattr(jobs, "_start", start_and_stop)
    async with running(jobs):
        await ask(store, jobs, "k")
        await until_empty(store)
    assert [one.attempt for one in done.runs] == [1]


async def test_what_is_run_now_or_dropped_is_given_up_no_more(store: Store) -> None:
    jobs = jobs_of(store)
    for key in ("a", "b"):
        await unended(store, key, 3)
    jobs.on_due("p", "j", Done())
    async with running(jobs):
        await until(lambda: jobs.given_up == {"p": 2})
        await store.write(lambda connection: jobs.drop(connection, "p", "j", "a") and None)
        await until(lambda: jobs.given_up == {"p": 1})
        await store.write(lambda connection: jobs.run_now(connection, "p", "j", "b") and None)
        await until(lambda: jobs.given_up == {})


async def test_no_schedule_is_cancelled_by_a_jobs_key(store: Store) -> None:
    jobs = jobs_of(store)
    await jobs.every("p", "nightly", Every(timedelta(hours=1)), Done())
    await store.write(lambda connection: jobs.cancel(connection, "p", "nightly", ""))
    assert [one.job for one in await rows(store)] == ["nightly"]
