"""Forgetting in parts, giving room back, and finding the newest of a million without looking at the others."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.dialects import sqlite

from hub.hub import Hub
from hub.store.retention import PART_ROWS, in_parts, release_free_pages
from hub.store.store import Store, now
from plugins.locks.store import rows
from plugins.locks.store.tables import event

OLD = timedelta(days=400)


def add_events(connection: Connection, count: int) -> None:
    at = now() - OLD
    values = {"kind": "opened", "count": 1, "happened_at": at, "received_at": at}
    connection.execute(insert(event), [values | {"door": "door-1", "id": f"e{number}"} for number in range(count)])


def counted(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(event)).scalar_one()


async def test_what_is_old_goes_in_parts_and_others_write_in_between(hub: Hub) -> None:
    """It was one transaction: 2.7 s in which nobody could register, and a log of 289 MB."""
    await hub.store.write(lambda connection: add_events(connection, 4 * PART_ROWS))
    parts: list[int] = []

    def part(connection: Connection) -> int:
        parts.append(rows.forget_part(connection, now() - OLD / 2))
        return parts[-1]

    forgetting = asyncio.create_task(in_parts(hub.store, part))
    between: list[int] = []
    while not forgetting.done():
        between.append(await hub.store.write(counted))
        await asyncio.sleep(0)
    assert await forgetting == 4 * PART_ROWS
    assert parts == [PART_ROWS] * 4 + [0]
    assert len(set(between)) > 2
    assert await hub.store.read(counted) == 0


async def test_the_room_is_given_back_to_the_disk(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    await store.open()
    await store.write(lambda c: c.execute(text("CREATE TABLE thing (x BLOB)")))
    add = text("INSERT INTO thing VALUES (zeroblob(4000))")
    await store.write(lambda c: [c.execute(add) for _ in range(2500)])
    await store.write(lambda c: c.execute(text("DELETE FROM thing")))
    assert await in_parts(store, release_free_pages) >= 2000
    assert await store.read(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar()) < 600
    await store.close()


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (lambda c: rows.latest_commands(c, by="people"), "locks_command_told"),
        (lambda c: rows.latest_commands(c), "locks_command_asked"),
        (lambda c: rows.latest_reports(c, without=("opened",)), "locks_event_received"),
        (lambda c: rows.open_commands(c, now(), now()), "locks_command_open"),
        (lambda c: rows.forget_part(c, now()), "locks_event_received"),
    ],
)
async def test_the_newest_and_the_oldest_are_found_by_an_index(sqlite_url: str, question: Any, index: str) -> None:
    """And not sorted: 1.2 to 1.8 s with a million events."""
    store = Store(sqlite_url)
    await store.open()

    class Asked:
        """Explains what it is asked."""

        def __init__(self, connection: Connection) -> None:
            self.connection = connection
            self.plans: list[str] = []

        def execute(self, statement: Any) -> Any:
            whole = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})
            values = tuple(str(one) if isinstance(one, datetime) else one for one in whole.params.values())
            named = self.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {whole}", values)
            self.plans += [row[3] for row in named]
            return self.connection.execute(statement)

    def explained(connection: Connection) -> list[str]:
        asked = Asked(connection)
        question(asked)
        return asked.plans

    plans = await store.write(explained)
    assert any(index in plan for plan in plans), plans
    assert not [plan for plan in plans if "TEMP B-TREE" in plan and "ORDER BY" in plan], plans
    await store.close()
