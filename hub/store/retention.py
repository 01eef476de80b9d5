"""Forgetting what is older than somebody decided: in parts that nobody waits for, and the room is given back.

A million rows in one transaction would keep everybody waiting, and fill the disk with SQLite's log.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

PART = 250
"""Rows: some ten milliseconds."""
PAUSE_SECONDS = 0.02
PAGES = 500
"""Two megabytes of SQLite's usual pages."""


class Writes(Protocol):
    """The store, as the kernel or as a plugin sees it."""

    async def write(self, work: Callable[[Connection], int]) -> int: ...


async def in_parts(store: Writes, work: Callable[[Connection], int]) -> int:
    """Write `work` until it has found nothing to do; others write in between. The sum of its results."""
    total = 0
    while done := await store.write(work):
        total += done
        await asyncio.sleep(PAUSE_SECONDS)
    return total


def delete_part(connection: Connection, table: Table, old: ColumnElement[bool]) -> int:
    """Delete at most PART rows for which `old` is true; how many."""
    keys = list(table.primary_key.columns)
    some = select(*keys).where(old).limit(PART)
    one = keys[0] if len(keys) == 1 else tuple_(*keys)
    return connection.execute(delete(table).where(one.in_(some))).rowcount


def give_room_back(connection: Connection) -> int:
    """Some of SQLite's free pages, to the disk; how many. PostgreSQL's autovacuum does this by itself."""
    if connection.dialect.name != "sqlite":
        return 0
    free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)
    is_kept_apart = int(connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() or 0) == INCREMENTAL
    if not is_kept_apart or free < PAGES:
        return 0
    for _ in range(PAGES):  # one each: the driver takes one step of a pragma that gives no rows
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return free - int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)


INCREMENTAL = 2
