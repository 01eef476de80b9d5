"""The history's writer: a process of its own, so that writing never takes the hub's time. Standard library only.

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

FORGET_SECONDS = 600.0
LESS_URGENT = 5
ROWS_AT_ONCE = 50_000
FORGET = """
DELETE FROM sample WHERE entity = ? AND at IN (SELECT at FROM sample WHERE entity = ? AND at < ? LIMIT ?)
"""


def main(path: str, keep_days: int) -> None:
    os.nice(LESS_URGENT)
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")  # a power cut may take the last second of it
    forget_at = 0.0
    number = 0
    while (frame := _next_frame()) is not None:
        number += 1
        _write(database, frame)
        print(number, flush=True)  # noqa: T201 (the hub reads it)
        if time.monotonic() > forget_at:
            forget_at = time.monotonic() + FORGET_SECONDS
            _forget(database, keep_days)


def _next_frame() -> dict[str, Any] | None:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:  # noqa: PLR2004
        return None
    body = sys.stdin.buffer.read(struct.unpack("!I", head)[0])
    found: dict[str, Any] = json.loads(body)
    return found


def _write(database: sqlite3.Connection, frame: dict[str, Any]) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT OR IGNORE INTO entity (number, id) VALUES (?, ?)", frame.get("names", ()))
    database.executemany("UPDATE entity SET keep_days = ?2 WHERE number = ?1", frame.get("keep", ()))
    database.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?)", frame.get("rows", ()))
    database.execute("COMMIT")


def _forget(database: sqlite3.Connection, keep_days: int) -> None:
    """An entity's own time where it has one. A part at a time, so that frames do not wait."""
    for number, days in database.execute("SELECT number, coalesce(keep_days, ?) FROM entity", (keep_days,)).fetchall():
        while True:
            gone = database.execute(FORGET, (number, number, time.time() - days * 86_400, ROWS_AT_ONCE))
            if gone.rowcount < ROWS_AT_ONCE:
                break


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
