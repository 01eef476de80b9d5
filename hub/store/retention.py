"""Deleting old rows in small parts, and releasing the disk space.

A million rows in one transaction would block all other writes, and fill the disk with SQLite's log.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

PART_ROWS = 250
"""Deleted within some ten milliseconds."""
PAUSE_SECONDS = 0.02
MAX_PAGES = 500
"""Two megabytes of SQLite's usual pages."""


class Writes(Protocol):
    """The store, as the kernel or as a plugin sees it."""

    async def write(self, work: Callable[[Connection], int]) -> int: ...


async def in_parts(store: Writes, work: Callable[[Connection], int]) -> int:
    """Write `work` repeatedly until it returns 0, with pauses for other writes. Returns the sum of its results."""
    total = 0
    while done := await store.write(work):
        total += done
        await asyncio.sleep(PAUSE_SECONDS)
    return total


def delete_part(connection: Connection, table: Table, is_old: ColumnElement[bool]) -> int:
    """Delete at most PART_ROWS rows for which `is_old` is true; returns how many."""
    keys = list(table.primary_key.columns)
    keys_of_part = select(*keys).where(is_old).limit(PART_ROWS)
    key = keys[0] if len(keys) == 1 else tuple_(*keys)
    return connection.execute(delete(table).where(key.in_(keys_of_part))).rowcount


def release_free_pages(connection: Connection) -> int:
    """Release some of SQLite's free pages to the disk; returns how many. PostgreSQL has autovacuum."""
    if connection.dialect.name != "sqlite":
        return 0
    free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)
    is_incremental = int(connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() or 0) == INCREMENTAL
    if not is_incremental or free < MAX_PAGES:
        return 0
    for _ in range(MAX_PAGES):  # one page each: the driver runs a single step of a pragma that returns no rows
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return free - int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)


INCREMENTAL = 2
