"""Classifies database errors: the database is away, locked, full, read-only or damaged, or the statement is wrong.

The first kind is not the caller's fault, and passes by itself or is fixed by IT; the second is a mistake in code.
"""

import errno
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

TEMPORARY = frozenset(
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
"""The folder beside the database where backups are expected."""
READ_ONLY_CLASS = "25006"
"""PostgreSQL's read_only_sql_transaction: a standby, or set by an administrator."""


class DataInUseError(Exception):
    """Another hub uses the same data; the text says which, and since when."""


class DamagedStoreError(Exception):
    """The database is damaged and is not written to; the text says what to do."""


class NewerSchemaError(Exception):
    """The database was written by a newer version than this one."""


def in_store(error: BaseException) -> bool:
    """Whether the database itself has a problem, and not the statement."""
    if isinstance(error, DamagedStoreError | DataInUseError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in TEMPORARY | DAMAGE
    if error.connection_invalidated or getattr(error.orig, "sqlstate", None) == READ_ONLY_CLASS:
        return True
    return isinstance(error, OperationalError | InterfaceError)


def is_disk_failure(error: BaseException) -> bool:
    """Whether a file could not be written because its disk is full, read-only or failing."""
    return isinstance(error, OSError) and error.errno in DISK


def is_damage(error: BaseException) -> bool:
    """Whether the database is damaged, so that further writes would make it worse."""
    return isinstance(error, DBAPIError) and _sqlite_code(error.orig) in DAMAGE


def explained(error: BaseException, path: Path | None) -> str:
    """The error for people; for SQLite with the file and the free disk space."""
    if isinstance(error, DamagedStoreError | DataInUseError):
        return str(error)
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    if path is None:
        return f"the database does not answer: {text}"
    if is_damage(error):
        return damage_text(path, text)
    return f"{path}: {text} ({_free_space(path)})"


def check_database(path: Path | None, sound_at: datetime | None) -> None:
    """Run SQLite's quick_check, about a minute for ten gigabytes, on a database that was not closed properly.

    Raises DamagedStoreError. `sound_at`: when it was last known to be intact.
    """
    if path is None or not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as database:
            messages = [str(row[0]) for row in database.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        if _sqlite_code(error) not in DAMAGE:
            raise
        messages = [str(error)]
    if messages != ["ok"]:
        raise DamagedStoreError(damage_text(path, "; ".join(messages).replace("\n", " ")[:200], sound_at))


def damage_text(path: Path, text: str, sound_at: datetime | None = None) -> str:
    """What IT must know and do about a damaged database."""
    known = f"It was last known to be whole on {sound_at.astimezone():%Y-%m-%d at %H:%M}. " if sound_at else ""
    backups = sorted((path.parent / BACKUPS).glob("*.db"), key=lambda one: one.stat().st_mtime)
    backup = str(backups[-1]) if backups else "your newest backup"
    return (
        f"{path} is damaged ({text}). {known}Nothing is written to it. Stop the hub, move {path.name}, {path.name}-wal "
        f"and {path.name}-shm away together and keep them, and put {backup} in their place "
        "(docs/configuration.md, Backup)"
    )


def _free_space(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free // 1_000_000} MB free"
    except OSError as error:
        return str(error.strerror)


def _sqlite_code(error: BaseException | None) -> int | None:
    """The primary code; extended ones have it in their lowest byte."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
