"""What the hub has not receipted yet, on disk: it survives kill -9 and a pulled plug.

SQLite in WAL mode with synchronous=FULL: when `apply` returns, fsync has been done. Each kind of event has a
quota, so the file stays under MOST_PAGES whatever happens at the door; what finds no room is handed back to
be counted (flood.py). Of outcomes the oldest gives way: the hub has called it unknown long ago.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from devices.door.exchange import MOST_ACTED
from devices.door.flood import HeldBack, Key

QUOTAS = {"command_refused": 200, "exit_button": 300, "forced_open": 300, "started": 100, "outcome": 100}
MOST_PAGES = 2000
"""8 MB; the quotas stay far below, this is the brace."""

TABLES = """
CREATE TABLE IF NOT EXISTS start (
  one INTEGER PRIMARY KEY CHECK (one = 1), boot INTEGER NOT NULL, mark TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS waiting (
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS acted (n INTEGER PRIMARY KEY AUTOINCREMENT, command TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS held (
  kind TEXT NOT NULL, reason TEXT, count INTEGER NOT NULL, first_at TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A signed message that waits for its receipt. `kind` is an event's kind, or `outcome`."""

    id: str
    kind: str
    payload: bytes
    acted: bool = False
    counts: HeldBack | None = None
    key: Key | None = None

    @property
    def what(self) -> str:
        """The last part of its topic."""
        return "outcome" if self.kind == "outcome" else "event"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The hub has it: the entry of this id can go."""

    of: str


@dataclass(slots=True)
class Applied:
    """`kept` is durable, `no_room` is not kept; `waiting` entries are on disk now."""

    kept: list[Entry] = field(default_factory=list)
    no_room: list[Entry] = field(default_factory=list)
    waiting: int = 0


class Journal:
    """One SQLite file in `directory`. Use it from one thread at a time. Raises sqlite3.Error.

    Opening it counts a start: `boot` is one more than ever before, durably, when this returns.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = directory / "journal.sqlite"
        self.was_damaged = False
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # a full or read-only disk is no reason to begin anew
            self._move_aside()
            self._open()

    def apply(self, changes: Sequence[Entry | Receipt]) -> Applied:
        """Keep entries and drop receipted ones, in this order, in one transaction."""
        applied = Applied()
        with self._database:
            for change in changes:
                if isinstance(change, Receipt):
                    self._database.execute("DELETE FROM waiting WHERE id = ?", (change.of,))
                elif self._has_room(change):
                    self._keep(change)
                    applied.kept.append(change)
                else:
                    applied.no_room.append(change)
        applied.waiting = self.count()
        return applied

    def count(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM waiting").fetchone()[0])

    def oldest(self, most: int) -> list[Entry]:
        rows = self._database.execute("SELECT id, kind, payload FROM waiting ORDER BY n LIMIT ?", (most,))
        return [Entry(*row) for row in rows]

    def acted(self) -> list[str]:
        """The last commands that moved the relay, oldest first."""
        return [row[0] for row in self._database.execute("SELECT command FROM acted ORDER BY n")]

    def held(self) -> dict[Key, HeldBack]:
        rows = self._database.execute("SELECT kind, reason, count, first_at FROM held")
        return {
            (kind, reason): HeldBack(count, datetime.fromisoformat(first_at)) for kind, reason, count, first_at in rows
        }

    def remember_held(self, held: dict[Key, HeldBack]) -> None:
        """The counts as they are now, instead of those before."""
        rows = [(kind, reason, back.count, back.first_at.isoformat()) for (kind, reason), back in held.items()]
        with self._database:
            self._database.execute("DELETE FROM held")
            self._database.executemany("INSERT INTO held VALUES (?, ?, ?, ?)", rows)

    def close(self) -> None:
        self._database.close()

    def _open(self) -> None:
        self._database = sqlite3.connect(self.path, timeout=5, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(f"PRAGMA max_page_count = {MOST_PAGES}")
            self._database.execute("PRAGMA wal_autocheckpoint = 100")
            self._database.executescript(TABLES)
            with self._database:
                self._database.execute(
                    "INSERT INTO start VALUES (1, 1, ?) ON CONFLICT DO UPDATE SET boot = boot + 1",
                    (token_hex(4),),
                )
            self.boot, self.mark = self._database.execute("SELECT boot, mark FROM start").fetchone()
            with closing(self._database.execute("PRAGMA quick_check")) as check:
                if (found := check.fetchone()[0]) != "ok":
                    raise sqlite3.DatabaseError(found)
        except sqlite3.Error:
            self._database.close()
            raise

    def _move_aside(self) -> None:
        """Whoever looks into the damage needs the file; the door needs a journal."""
        self.was_damaged = True
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        for path in self.path.parent.glob(self.path.name + "*"):
            if ".damaged-" not in path.name:
                path.rename(path.with_name(f"{path.name}.damaged-{stamp}"))

    def _has_room(self, entry: Entry) -> bool:
        if entry.kind == "outcome":
            return True
        of_kind = "SELECT count(*) FROM waiting WHERE kind = ?"
        return int(self._database.execute(of_kind, (entry.kind,)).fetchone()[0]) < QUOTAS[entry.kind]

    def _keep(self, entry: Entry) -> None:
        self._database.execute(
            "INSERT INTO waiting (id, kind, payload) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (entry.id, entry.kind, entry.payload),
        )
        if entry.kind == "outcome":
            self._database.execute(
                "DELETE FROM waiting WHERE kind = 'outcome' AND n <= "
                "(SELECT n FROM waiting WHERE kind = 'outcome' ORDER BY n DESC LIMIT 1 OFFSET ?)",
                (QUOTAS["outcome"],),
            )
        if entry.acted:
            self._database.execute("INSERT INTO acted (command) VALUES (?) ON CONFLICT DO NOTHING", (entry.id,))
            self._database.execute(
                "DELETE FROM acted WHERE n <= (SELECT n FROM acted ORDER BY n DESC LIMIT 1 OFFSET ?)",
                (MOST_ACTED,),
            )
