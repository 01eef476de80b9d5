"""The kernel's promises in small: store, audit chain, events, limits; on both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, delete, select, text, update

from hub.configuration.shipped import shipped
from hub.hooks.limits import Limiter
from hub.hub import MIGRATIONS
from hub.store import audit
from hub.store import events as events_module
from hub.store import store as store_module
from hub.store.events import Event, Events
from hub.store.migrating import migrate
from hub.store.store import Store, after_commit, now
from hub.store.tables import audit as audit_table
from hub.store.tables import follower
from hub.store.trouble import NewerSchemaError
from tests.conftest import until


@pytest_asyncio.fixture
async def store(store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(store_url)
    await store.open()
    await store.write(lambda connection: migrate(connection, "hub", MIGRATIONS, tmp_path))
    yield store
    await store.close()


def add(connection: Connection, name: str) -> None:
    connection.execute(follower.insert(), {"name": name, "last_event": 0})


def names(connection: Connection) -> set[str]:
    """Those of this test: plugins' own followers stand there too, as `plugin:name`."""
    return set(connection.execute(select(follower.c.name).where(~follower.c.name.contains(":"))).scalars())


async def test_one_that_fails_in_a_burst_hurts_nobody_else(store: Store) -> None:
    await store.write(lambda connection: add(connection, "there"))
    writes = [store.write(lambda connection, name=name: add(connection, name)) for name in ("a", "there", "b", "c")]  # type: ignore[misc]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(one, Exception) for one in results] == [False, True, False, False]
    assert await store.read(names) == {"there", "a", "b", "c"}


async def test_what_comes_together_is_written_together(store: Store) -> None:
    calls: list[int] = []

    def add_all(connection: Connection, wanted: list[str]) -> list[int]:
        calls.append(len(wanted))
        for name in wanted:
            add(connection, name)
        return [len(name) for name in wanted]

    hold = asyncio.Event()
    loop = asyncio.get_running_loop()
    first = asyncio.create_task(store.write(lambda _: asyncio.run_coroutine_threadsafe(hold.wait(), loop).result()))
    await asyncio.sleep(0)
    rest = [asyncio.create_task(store.write_with_others(add_all, "x" * n)) for n in range(1, 40)]
    await asyncio.sleep(0)
    hold.set()
    await first
    assert await asyncio.gather(*rest) == list(range(1, 40))
    assert len(calls) < 39
    assert len(await store.read(names)) == 39


async def test_nothing_is_told_before_it_is_durable_nor_after_it_failed(store: Store) -> None:
    told: list[str] = []

    def work(connection: Connection, *, fails: bool) -> None:
        after_commit(connection, lambda: told.append("failed" if fails else "durable"))
        if fails:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.write(lambda connection: work(connection, fails=True))
    await store.write(lambda connection: work(connection, fails=False))
    assert told == ["durable"]


async def test_the_audit_chain_finds_what_was_changed_removed_or_slipped_in(store: Store) -> None:
    for number in range(5):
        await store.write(
            lambda c, number=number: audit.record(c, "kari", "door.intent", f"door-{number}", {"why": "x"})
        )  # type: ignore[misc]
    assert await store.read(audit.first_broken) is None
    assert await store.write(lambda c: audit.erase_details(c, "door.", now())) == 5
    assert await store.read(audit.first_broken) is None
    assert (await store.read(audit.newest))[0].details is None

    async def broken_by(change: object) -> int | None:
        def spoil_and_look(connection: Connection) -> int | None:
            with connection.begin_nested() as attempt:
                connection.execute(change)  # type: ignore[call-overload]
                found = audit.first_broken(connection)
                attempt.rollback()
            return found

        return await store.write(spoil_and_look)

    third = audit_table.c.id == 3
    assert await broken_by(update(audit_table).where(third).values(actor="ola")) == 3
    assert await broken_by(update(audit_table).where(third).values(subject="door-9")) == 3
    assert await broken_by(update(audit_table).where(third).values(commitment=bytes(32))) == 3
    assert await broken_by(delete(audit_table).where(third)) == 3
    assert await store.read(audit.first_broken) is None


async def test_a_follower_hears_what_it_missed_and_failures_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Events(store)
    last = await events.join("test")
    for number in range(60):
        await store.write(lambda c, number=number: events.emit(c, "test.thing", [str(number)]))  # type: ignore[misc]
    await store.write(lambda c: events.emit(c, "test.other", ["no"]))
    heard: list[str] = []
    fails = [True, True]

    async def take(found: list[Event]) -> None:
        if heard and fails:
            fails.pop()
            raise RuntimeError
        heard.extend(one.subject for one in found)

    monkeypatch.setattr(events_module, "FIRST_WAIT_SECONDS", 0.01)
    following = asyncio.create_task(events.follow("test", last, {"test.thing"}, take))
    await until(lambda: len(heard) == 60)
    assert set(heard) == {str(number) for number in range(60)}
    following.cancel()
    await asyncio.wait({following})
    resumed: list[str] = []

    async def again(found: list[Event]) -> None:
        resumed.extend(one.subject for one in found)

    await store.write(lambda c: events.emit(c, "test.thing", ["new"]))
    following = asyncio.create_task(events.follow("test", await events.join("test"), {"test.thing"}, again))
    await until(lambda: resumed)
    following.cancel()
    await asyncio.wait({following})
    assert resumed[-1] == "new"
    assert len(resumed) <= 26  # at least once: the last few may come again


async def test_a_database_of_a_newer_version_is_refused(store: Store, tmp_path: Path) -> None:
    await store.write(lambda c: c.execute(text("UPDATE alembic_hub SET version_num = '9999'")))
    with pytest.raises(NewerSchemaError, match="9999"):
        await store.write(lambda c: migrate(c, "hub", MIGRATIONS, tmp_path))


def test_a_limit_fills_again_with_time() -> None:
    clock = [0.0]
    limit = Limiter(3, 60, lambda: clock[0])
    assert [limit.wait_seconds("a") for _ in range(3)] == [0, 0, 0]
    assert limit.wait_seconds("a") == pytest.approx(20)
    assert limit.wait_seconds("b") == 0
    clock[0] = 20
    assert limit.wait_seconds("a") == 0
    assert limit.wait_seconds("a") > 0


def test_shipped_files_are_there() -> None:
    assert shipped("demo/demo.yaml").is_file()
    with pytest.raises(FileNotFoundError):
        shipped("no-such-file")
    assert Path(shipped("kommunevert.example.yaml")).read_text().startswith("# Kommunevert")


async def test_sqlites_log_goes_into_the_database_beside_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints run beside the writer: the pages are in the database long before SQLite's own limit."""
    monkeypatch.setattr(store_module, "CHECKPOINT_SECONDS", 0.0)
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    await store.open()
    await store.write(lambda connection: migrate(connection, "hub", MIGRATIONS, tmp_path))
    for number in range(300):
        await store.write(lambda c, number=number: audit.record(c, "kari", "x", str(number), {"text": "x" * 3000}))  # type: ignore[misc]
    await until(lambda: (tmp_path / "test.db").stat().st_size > 900_000)
    await store.close()


@pytest.mark.parametrize("kept", [True, False])
async def test_what_is_deleted_is_not_in_the_file_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """Its bytes are read, in the database and in its log; without `secure_delete` they would be there."""
    if kept:
        pragmas = tuple(one.replace("secure_delete=ON", "secure_delete=OFF") for one in store_module.PRAGMAS)
        monkeypatch.setattr(store_module, "PRAGMAS", pragmas)
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    await store.open()
    await store.write(lambda connection: migrate(connection, "hub", MIGRATIONS, tmp_path))
    who = "Kari Nordmann i dag"
    for number in range(50):
        await store.write(lambda connection, number=number: add(connection, f"{who} {number}"))  # type: ignore[misc]
    await store.write(lambda connection: connection.execute(follower.delete()))
    await store.close()
    left = b"".join(path.read_bytes() for path in tmp_path.glob("test.db*"))
    assert (who.encode() in left) is kept
