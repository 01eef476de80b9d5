"""What a database's errors say: that it is away, locked, full, read-only or damaged, or that the statement is wrong.

The first kind is nobody's fault who asked and passes by itself or by IT; the second is a mistake in code.
"""

import shutil
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""https://www.sqlite.org/rescode.html, primary codes."""
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
READ_ONLY_CLASS = "25006"
"""PostgreSQL's read_only_sql_transaction: a standby, or an administrator's word."""


class DamagedStoreError(Exception):
    """The database is damaged and is not written to; the text says what to do."""


def in_store(error: BaseException) -> bool:
    """Whether the database itself is in trouble, and not what was asked of it."""
    if isinstance(error, DamagedStoreError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in PASSING | DAMAGE
    if error.connection_invalidated or getattr(error.orig, "sqlstate", None) == READ_ONLY_CLASS:
        return True
    return isinstance(error, OperationalError | InterfaceError)


def is_damage(error: BaseException) -> bool:
    """Whether writing on would make it worse."""
    return isinstance(error, DBAPIError) and _sqlite_code(error.orig) in DAMAGE


def explained(error: BaseException, path: Path | None) -> str:
    """In words, with the file and the room on its disk where it is SQLite's."""
    if isinstance(error, DamagedStoreError):
        return str(error)
    what = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    if path is None:
        return f"the database does not answer: {what}"
    if is_damage(error):
        return damaged(path, what)
    return f"{path}: {what} ({_room(path)})"


def damaged(path: Path, what: str) -> str:
    """What IT must know and do."""
    return (
        f"{path} is damaged ({what}). Nothing is written to it any more, and nothing was changed. Stop the hub, move "
        f"{path.name}, {path.name}-wal and {path.name}-shm away together and keep them, and put the newest backup from "
        "before the damage in their place (docs/configuration.md, Backup)"
    )


def _room(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free // 1_000_000} MB free"
    except OSError as error:
        return str(error.strerror)


def _sqlite_code(error: BaseException | None) -> int | None:
    """The primary code; extended ones have it in their lowest byte."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
