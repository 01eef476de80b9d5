"""One hub works on its data, a second one says who does and touches nothing; and a damaged database is left alone."""

import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from hub.broker.mosquitto import stop_leftover
from hub.entities.history import History
from hub.store.folder_lock import FILE
from hub.store.store import Store
from hub.store.trouble import DamagedStoreError, DataInUseError, in_store
from tests.conftest import until_async
from tests.hub_process import HubProcess
from tests.ports import free_port
from tests.postgres import Postgres


def snapshot(folder: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix not in (".db-shm", ".db-wal")
    }


async def run_second(settings: dict[str, Any], folder: Path) -> tuple[int, str]:
    """The exit code, and what it printed."""
    folder.mkdir()
    process = HubProcess(settings | {"web": {"port": free_port()}}, folder)
    with pytest.raises(AssertionError):  # it ends before it is ready
        await process.start()
    assert process._process is not None
    return process._process.returncode or 0, process.log.read_text()


async def test_a_second_hub_says_who_has_the_data_and_touches_nothing(settings: dict[str, Any], tmp_path: Path) -> None:
    """It ended the first one's broker, as if a hub that was killed had left it behind."""
    first = HubProcess(settings, tmp_path)
    await first.start()
    assert first._process is not None
    broker = int((tmp_path / "data" / "broker" / "mosquitto.pid").read_text())
    before = snapshot(tmp_path / "data" / "broker")
    code, said = await run_second(settings, tmp_path / "second")
    assert code == 1
    assert f"process {first._process.pid}" in said
    assert str(tmp_path / "data") in said
    os.kill(broker, 0)
    assert snapshot(tmp_path / "data" / "broker") == before
    await first.stop()
    assert json.loads((tmp_path / "data" / FILE).read_text())["has_ended"] is True


async def test_a_hub_that_was_killed_holds_nothing(settings: dict[str, Any], tmp_path: Path) -> None:
    hub = HubProcess(settings, tmp_path)
    await hub.start()
    await hub.kill()
    await hub.start()
    await hub.stop()


async def test_postgresql_lets_one_hub_in_and_names_it(
    settings: dict[str, Any], tmp_path: Path, empty_postgres: Postgres
) -> None:
    """Another machine's data folder is no help where both use one database."""
    url = empty_postgres.new_database()
    store, other = Store(url), Store(url)
    await store.open(is_the_hub=True)
    with pytest.raises(DataInUseError, match=f"kommunevert on .*, process {os.getpid()} at 127.0.0.1, since 2"):
        await other.open(is_the_hub=True)
    other.engine.dispose()
    beside = Store(url)
    await beside.open()  # a command
    await beside.write(lambda connection: connection.execute(text("SELECT 1")))
    await beside.close()
    await store.close()
    again = Store(url)

    async def is_free() -> bool:
        """PostgreSQL sees the end of a connection a moment later than we do."""
        with suppress(DataInUseError):
            await again.open(is_the_hub=True)
            return True
        return False

    await until_async(is_free)
    await again.close()


async def test_a_lock_that_was_lost_with_its_connection_is_taken_again_before_anything_is_written(
    empty_postgres: Postgres,
) -> None:
    url = empty_postgres.new_database()
    store, other = Store(url), Store(url)
    await store.open(is_the_hub=True)

    def cut(connection: Any) -> None:
        """All other connections, also the one that holds."""
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )

    beside = Store(url)
    await beside.open()
    await beside.read(cut)
    await beside.close()
    await other.open(is_the_hub=True)
    store._note_errors([sqlite_like_loss()])
    with pytest.raises(DataInUseError):
        await store.write(lambda connection: connection.execute(text("SELECT 1")))
    assert "another hub uses this database" in str(store.problem)
    await other.close()
    await store.write(lambda connection: connection.execute(text("SELECT 1")))
    assert store.problem is None
    await store.close()


def sqlite_like_loss() -> BaseException:
    return DataInUseError("lost")


def spoil(path: Path) -> None:
    """A page in the middle, as a failing disk does."""
    with path.open("r+b") as file:
        file.seek(0, 2)
        size = file.tell()
        for offset in range(4096 * 2, size, 4096 * 3):
            file.seek(offset)
            file.write(os.urandom(2048))


async def test_a_damaged_database_is_not_started_on_and_stays_as_it_is(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """It was started on and written to, and a plugin was blamed."""
    hub = HubProcess(settings, tmp_path)
    await hub.start()
    await hub.kill()
    path = tmp_path / "data" / "kommunevert.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spoil(path)
    (tmp_path / "data" / "backups").mkdir()
    backup = tmp_path / "data" / "backups" / "monday.db"
    backup.touch()
    damaged = path.read_bytes()
    with pytest.raises(AssertionError):
        await hub.start()
    said = hub.log.read_text()
    assert f"{path} is damaged" in said
    assert str(backup) in said
    assert "last known to be whole on " in said
    assert path.read_bytes() == damaged
    with pytest.raises(AssertionError):  # and the next time as well
        await hub.start()
    assert path.read_bytes() == damaged
    await stop_leftover(tmp_path / "data" / "broker")


async def test_damage_that_is_found_while_it_runs_stops_writing(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    await store.open()
    await store.write(lambda c: c.execute(text("CREATE TABLE thing (id INTEGER PRIMARY KEY, x TEXT)")))
    add = text("INSERT INTO thing (x) VALUES (hex(randomblob(1000)))")
    await store.write(lambda c: [c.execute(add) for _ in range(100)])
    await store.close()
    spoil(tmp_path / "test.db")
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    await store.open()
    with pytest.raises(DatabaseError) as failed:
        await store.write(lambda c: c.execute(text("UPDATE thing SET x = x || 'y'")))
    assert in_store(failed.value)
    with pytest.raises(DamagedStoreError, match="backup"):
        await store.write(lambda c: c.execute(add))
    assert "is damaged" in str(store.problem)
    await store.close()


async def test_a_damaged_history_is_put_aside_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(b"no database" * 1000)
    history = History(path, 14)
    await history.open()
    history.close()
    assert (tmp_path / "history.damaged").read_bytes().startswith(b"no database")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM sample").fetchone() == (0,)
