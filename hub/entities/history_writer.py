"""The history's writer: a separate process, so that writing takes no time of the hub's. Standard library only.

Standard input brings frames: four bytes of length (big-endian), then JSON, `{"names": [[number, id]], "keep":
[[number, days]], "rows": [[entity, at, value]]}`. A line with the frame's number goes to standard output when it is in
the database. Ends with its input.
"""

import json
import os
import sqlite3
import struct
import sys
import time
from typing import Any

DELETE_INTERVAL_SECONDS = 600.0
NICENESS = 5
ROWS_PER_DELETE = 50_000
DELETE_OLD = """
DELETE FROM sample WHERE entity = ? AND at IN (SELECT at FROM sample WHERE entity = ? AND at < ? LIMIT ?)
"""


def main(path: str, keep_days: int) -> None:
    os.nice(NICENESS)
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")  # a power cut may lose the last second
    delete_at = 0.0
    number = 0
    while (frame := _next_frame()) is not None:
        number += 1
        _write(database, frame)
        print(number, flush=True)  # noqa: T201 (the hub reads it)
        if time.monotonic() > delete_at:
            delete_at = time.monotonic() + DELETE_INTERVAL_SECONDS
            _delete_old(database, keep_days)


def _next_frame() -> dict[str, Any] | None:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:  # noqa: PLR2004
        return None
    body = sys.stdin.buffer.read(struct.unpack("!I", head)[0])
    frame: dict[str, Any] = json.loads(body)
    return frame


def _write(database: sqlite3.Connection, frame: dict[str, Any]) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT OR IGNORE INTO entity (number, id) VALUES (?, ?)", frame.get("names", ()))
    database.executemany("UPDATE entity SET keep_days = ?2 WHERE number = ?1", frame.get("keep", ()))
    database.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?)", frame.get("rows", ()))
    database.execute("COMMIT")


def _delete_old(database: sqlite3.Connection, keep_days: int) -> None:
    """Delete samples older than the entity's own retention, or the default. In parts, so that frames do not wait."""
    for number, days in database.execute("SELECT number, coalesce(keep_days, ?) FROM entity", (keep_days,)).fetchall():
        while True:
            deleted = database.execute(DELETE_OLD, (number, number, time.time() - days * 86_400, ROWS_PER_DELETE))
            if deleted.rowcount < ROWS_PER_DELETE:
                break


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
