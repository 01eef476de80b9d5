"""What counts as a plugin's failure, how long it is remembered, and what is the kernel's own delay."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from hub.hooks.pausable_timeout import PausableTimeout, timeouts_paused
from hub.hosting.host import BLOCKS_WITHIN_SECONDS, ROW_WITHIN_SECONDS, HostedPlugin, PluginHost
from hub.store.store import Store
from hub.store.trouble import in_store, is_damage
from tests.patience import PATIENCE_SECONDS


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("hub.hosting.host.time.monotonic", clock)
    return clock


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store("sqlite://")
    yield store
    store.engine.dispose()


@pytest.fixture
def host(store: Store) -> PluginHost:
    host = PluginHost(lambda: None, store)
    host.plugins["x"] = HostedPlugin("x", state="running", start_seconds=None)
    return host


def sqlite_error(code: int) -> OperationalError:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code  # type: ignore[misc]
    return OperationalError("SELECT 1", {}, error)


def test_ten_failures_in_a_row_are_too_many_and_ten_in_a_lifetime_are_not(host: PluginHost, clock: Clock) -> None:
    for _ in range(30):
        host.failed("x", "hook find", RuntimeError())
        clock.now += ROW_WITHIN_SECONDS + 1
    assert host.plugins["x"].state == "running"
    for _ in range(10):
        host.failed("x", "hook find", RuntimeError())
        clock.now += 61
    assert host.plugins["x"].state == "quarantined"


def test_holding_the_loop_now_and_then_is_named_and_never_adds_up(host: PluginHost, clock: Clock) -> None:
    """`locks` was put aside after some 45 changes of people, months apart or not."""
    for _ in range(50):
        host.blocked("x", "x/service.py:1 in work", 0.3)
        clock.now += 30
    assert host.plugins["x"].state == "running"
    assert "blocked the loop for 0.30 s" in str(host.plugins["x"].last_failure)


def test_three_interruptions_within_ten_minutes_are_too_many(host: PluginHost, clock: Clock) -> None:
    for _ in range(4):
        host.blocked("x", "x/service.py:1 in work", 1.0)
        clock.now += BLOCKS_WITHIN_SECONDS / 2 + 1
    assert host.plugins["x"].state == "running"
    for _ in range(3):
        host.blocked("x", "x/service.py:1 in work", 1.0)
    assert host.plugins["x"].state == "quarantined"


def test_who_was_late_is_waited_for_a_tenth_as_long_for_a_minute(host: PluginHost, clock: Clock) -> None:
    """Others wait for the answers. It is late with one hook: the others, and other plugins, have all their time."""
    host.plugins["y"] = HostedPlugin("y", state="running", start_seconds=None)
    assert host.time_limit_for("x", "find", 2.0) == 2.0
    host.late("x", "find", 2.0)
    assert host.time_limit_for("x", "find", 2.0) == pytest.approx(0.2)
    assert [host.time_limit_for("x", "told", 2.0), host.time_limit_for("y", "find", 2.0)] == [2.0, 2.0]
    host.late("x", "find", 2.0)  # in less time than it was promised: no failure
    assert len(host.plugins["x"].failures) == 1
    clock.now += 61
    assert host.time_limit_for("x", "find", 2.0) == 2.0


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY_DIRECTORY])
def test_what_the_store_keeps_waiting_is_nobodys_failure(host: PluginHost, code: int) -> None:
    for _ in range(100):
        host.failed("x", "message kiosk/visit", sqlite_error(code))
    assert host.plugins["x"].state == "running"
    assert host.plugins["x"].last_failure is None


def test_a_wrong_statement_is_its_writers_failure() -> None:
    assert not in_store(sqlite_error(sqlite3.SQLITE_ERROR))
    assert not in_store(IntegrityError("x", {}, sqlite3.IntegrityError("x")))
    assert not in_store(RuntimeError())
    assert is_damage(sqlite_error(sqlite3.SQLITE_CORRUPT))
    assert not is_damage(sqlite_error(sqlite3.SQLITE_BUSY))


async def test_a_limit_stands_still_while_the_store_keeps_one_waiting() -> None:
    """Inside one another too: who asks a hook waits for what that waits for."""
    with PausableTimeout(0.05) as outer:
        with PausableTimeout(0.05), timeouts_paused():
            await asyncio.sleep(0.2)
        assert not outer.expired
    limit = PausableTimeout(0.05)

    async def too_long() -> None:
        with limit:
            with timeouts_paused():
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError):
        await too_long()
    assert limit.expired


async def test_two_waits_side_by_side_end_with_the_second() -> None:
    async def wait(seconds: float) -> None:
        with timeouts_paused():
            await asyncio.sleep(seconds)

    with PausableTimeout(0.05):
        await asyncio.gather(wait(0.1), wait(0.2))


async def test_whoever_waits_without_end_is_out_of_time_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.hooks.pausable_timeout.MAX_PAUSED_SECONDS", 0.1)

    async def writes_for_ever() -> None:
        with PausableTimeout(0.05):
            while True:
                with timeouts_paused():
                    await asyncio.sleep(0.01)

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(TimeoutError):
            await writes_for_ever()


async def test_time_that_is_over_when_the_work_is_done_cancels_nothing_afterwards() -> None:
    end = time.monotonic() + 0.02
    with PausableTimeout(0.01):
        while time.monotonic() < end:
            pass
        with timeouts_paused():
            pass
    await asyncio.sleep(0)  # the task is not to be cancelled here


async def test_a_task_that_outlives_the_limit_may_still_wait() -> None:
    async def wait() -> None:
        await asyncio.sleep(0.02)
        with timeouts_paused():
            await asyncio.sleep(0)

    with PausableTimeout(1):
        task = asyncio.create_task(wait())
    await task
