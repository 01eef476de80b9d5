"""What a database's errors say: that it is away, locked, full, read-only or damaged, or that the statement is wrong.

The first kind is nobody's fault who asked and passes by itself or by IT; the second is a mistake in code.
"""

import errno
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
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
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
BACKUPS = "backups"
"""The folder beside the database in which copies are looked for."""
READ_ONLY_CLASS = "25006"
"""PostgreSQL's read_only_sql_transaction: a standby, or an administrator's word."""


class HeldError(Exception):
    """Another hub works on the same data; the text says which, and since when."""


class DamagedStoreError(Exception):
    """The database is damaged and is not written to; the text says what to do."""


class NewerSchemaError(Exception):
    """The database was written by a newer version than this one."""


def in_store(error: BaseException) -> bool:
    """Whether the database itself is in trouble, and not what was asked of it."""
    if isinstance(error, DamagedStoreError | HeldError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in PASSING | DAMAGE
    if error.connection_invalidated or getattr(error.orig, "sqlstate", None) == READ_ONLY_CLASS:
        return True
    return isinstance(error, OperationalError | InterfaceError)


def on_disk(error: BaseException) -> bool:
    """Whether a file could not be written because its disk is full, read-only or failing."""
    return isinstance(error, OSError) and error.errno in DISK


def is_damage(error: BaseException) -> bool:
    """Whether writing on would make it worse."""
    return isinstance(error, DBAPIError) and _sqlite_code(error.orig) in DAMAGE


def explained(error: BaseException, path: Path | None) -> str:
    """In words, with the file and the room on its disk where it is SQLite's."""
    if isinstance(error, DamagedStoreError | HeldError):
        return str(error)
    what = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    if path is None:
        return f"the database does not answer: {what}"
    if is_damage(error):
        return damaged(path, what)
    return f"{path}: {what} ({_room(path)})"


def look_through(path: Path | None, sound_at: datetime | None) -> None:
    """SQLite's own check of all pages, for a database that was not closed in order; a minute for some ten gigabytes.

    Raises DamagedStoreError. `sound_at`: when it was last known to be whole.
    """
    if path is None or not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        if _sqlite_code(error) not in DAMAGE:
            raise
        found = [str(error)]
    if found != ["ok"]:
        raise DamagedStoreError(damaged(path, "; ".join(found).replace("\n", " ")[:200], sound_at))


def damaged(path: Path, what: str, sound_at: datetime | None = None) -> str:
    """What IT must know and do."""
    known = f"It was last known to be whole on {sound_at.astimezone():%Y-%m-%d at %H:%M}. " if sound_at else ""
    backups = sorted((path.parent / BACKUPS).glob("*.db"), key=lambda one: one.stat().st_mtime)
    backup = str(backups[-1]) if backups else "your newest backup"
    return (
        f"{path} is damaged ({what}). {known}Nothing is written to it. Stop the hub, move {path.name}, {path.name}-wal "
        f"and {path.name}-shm away together and keep them, and put {backup} in their place "
        "(docs/configuration.md, Backup)"
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
