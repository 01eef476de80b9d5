"""The kernel's own background work: none of it ends for good."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy.exc import OperationalError

from hub.store.store import Store
from hub.work.parts import Parts
from tests.conftest import until


@pytest_asyncio.fixture
async def store() -> AsyncIterator[Store]:
    store = Store("sqlite://")
    yield store
    store.engine.dispose()


async def test_a_part_that_fails_begins_again_and_is_named_until_it_has_recovered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.work.parts.FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("hub.work.parts.WELL_SECONDS", 0.05)
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)
        if len(begun) == 1:
            raise RuntimeError
        if len(begun) == 2:
            return
        await asyncio.Event().wait()

    changes: list[int] = []
    parts = Parts(store, lambda: changes.append(1))
    running = asyncio.create_task(parts.run("absences", work))
    await until(lambda: parts.problems)
    assert parts.problems == {"absences": "has failed (RuntimeError) and is started again"}
    await until(lambda: len(begun) == 3 and not parts.problems)
    assert len(changes) == 3
    running.cancel()
    await asyncio.wait({running})


async def test_a_part_that_the_store_fails_waits_for_the_store_and_is_not_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.work.parts.FIRST_WAIT_SECONDS", 600.0)
    await store.open()
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    failure = OperationalError("INSERT", {}, error)
    store._note_errors([failure])
    await until(lambda: not store._available.is_set())
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)
        if len(begun) == 1:
            raise failure
        await asyncio.Event().wait()

    parts = Parts(store, lambda: None)
    running = asyncio.create_task(parts.run("absences", work))
    await until(lambda: begun)
    await asyncio.sleep(0)
    assert begun == [1]
    await store.write(lambda _: None)
    await until(lambda: len(begun) == 2)
    assert parts.problems == {}
    running.cancel()
    await asyncio.wait({running})
    await store.close()


async def test_a_part_that_the_store_fails_though_it_is_well_does_not_take_the_loop(store: Store) -> None:
    """It began again at once, for ever, and nothing else ran."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)
        if len(begun) < 1000:
            raise OperationalError("SELECT", {}, error)
        await asyncio.Event().wait()

    running = asyncio.create_task(Parts(store, lambda: None).run("jobs", work))
    await until(lambda: begun)
    assert len(begun) == 1
    running.cancel()
    await asyncio.wait({running})
