"""One hub at a time on a PostgreSQL database: an advisory lock, held by a connection of its own.

The lock ends with that connection, also when the server restarts; it is taken again before anything is written then.
"""

from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hub.store.trouble import HeldError

KEY = 0x6B6F6D6D
"""Ours among a database's advisory locks: "komm"."""
HOLDER = """
SELECT application_name, client_addr, backend_start FROM pg_stat_activity WHERE pid =
(SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = :key
 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1)
"""

OURS = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = :key AND pid = pg_backend_pid()"


class DatabaseHold:
    """All of it is called in a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def take(self) -> None:
        """Does nothing while we have it. Raises HeldError, or sqlalchemy.exc.DBAPIError while the server is away."""
        if self._has_it():
            return
        self.release()
        connection = self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": KEY}).scalar():
            holder = connection.execute(text(HOLDER), {"key": KEY}).first()
            self.release()
            raise HeldError(f"another hub uses this database: {_named(holder)}. Stop it first")

    def _has_it(self) -> bool:
        """Asked of the server: a connection that broke connects again by itself, without the lock."""
        if self._connection is None:
            return False
        try:
            return bool(self._connection.execute(text(OURS), {"key": KEY}).scalar())
        except DBAPIError:
            return False

    def release(self) -> None:
        """The connection is closed, not kept for others: the lock is its."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _named(holder: Any | None) -> str:
    if holder is None:
        return "it has just gone"
    return f"{holder[0]} at {holder[1] or 'this machine'}, since {holder[2]:%Y-%m-%d %H:%M:%S}"
