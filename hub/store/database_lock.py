"""One hub at a time on a PostgreSQL database: an advisory lock, on a connection of its own.

The lock ends with that connection, also when the server restarts; it is then acquired again before anything is written.
"""

from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hub.store.trouble import DataInUseError

KEY = 0x6B6F6D6D
"""The key of our advisory lock: "komm"."""
HOLDER = """
SELECT application_name, client_addr, backend_start FROM pg_stat_activity WHERE pid =
(SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = :key
 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1)
"""

IS_HELD = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = :key AND pid = pg_backend_pid()"


class DatabaseLock:
    """All methods block: call them in a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def acquire(self) -> None:
        """Acquire the lock unless we have it.

        Raises DataInUseError, or sqlalchemy.exc.DBAPIError if the server is away.
        """
        if self._is_held():
            return
        self.release()
        connection = self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": KEY}).scalar():
            holder = connection.execute(text(HOLDER), {"key": KEY}).first()
            self.release()
            raise DataInUseError(f"another hub uses this database: {_named(holder)}. Stop it first")

    def _is_held(self) -> bool:
        """Asks the server: a broken connection reconnects by itself, without the lock."""
        if self._connection is None:
            return False
        try:
            return bool(self._connection.execute(text(IS_HELD), {"key": KEY}).scalar())
        except DBAPIError:
            return False

    def release(self) -> None:
        """Close the connection, which releases the lock."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _named(holder: Any | None) -> str:
    if holder is None:
        return "it has just gone"
    return f"{holder[0]} at {holder[1] or 'this machine'}, since {holder[2]:%Y-%m-%d %H:%M:%S}"
