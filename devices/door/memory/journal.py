"""Events and outcomes that the hub has not acknowledged yet, on disk: durable over kill -9 and power cuts.

SQLite in WAL mode with synchronous=FULL: fsync has been done when `apply` returns. Each kind of event has a quota, so
that the file stays under MAX_PAGES; entries over the quota are returned, to be counted (flood.py). The oldest outcome
makes room for a new one, since the hub has recorded it as unknown long ago.

Events are numbered when they are stored, so that the numbers have no gaps, also across restarts.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from devices.door.deciding.exchange import MAX_ACTED
from devices.door.deciding.flood import HeldBack, Key

QUOTAS = {"granted": 100_000, "denied": 30_000, "exit_button": 20_000, "command_refused": 200, "outcome": 100}
OTHERS = 1000
"""Of each other kind."""
MAX_PAGES = 50_000
"""200 MB; the quotas stay below, this is a second limit."""

TABLES = """
CREATE TABLE IF NOT EXISTS start (
  one INTEGER PRIMARY KEY CHECK (one = 1), boot INTEGER NOT NULL, mark TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS waiting (
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS numbered (event TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS numbered_number ON numbered (number);
CREATE TABLE IF NOT EXISTS newest (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
INSERT OR IGNORE INTO newest VALUES (1, 0);
CREATE TABLE IF NOT EXISTS lasting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS acted (n INTEGER PRIMARY KEY AUTOINCREMENT, command TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS held (
  kind TEXT NOT NULL, reason TEXT, count INTEGER NOT NULL, first_at TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A signed message that waits for its receipt. `kind`: an event's kind, or `outcome`.

    An event is signed when it gets its number: `numbered` makes its payload. `persisted`: a (name, value) to store in
    the same transaction.
    """

    id: str
    kind: str
    payload: bytes = b""
    numbered: Callable[[int], bytes] | None = None
    persisted: tuple[str, str] | None = None
    acted: bool = False
    counts: HeldBack | None = None
    key: Key | None = None

    @property
    def what(self) -> str:
        """The last part of its topic."""
        return "outcome" if self.kind == "outcome" else "event"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The hub has acknowledged the entry with this id."""

    of: str


@dataclass(frozen=True, slots=True)
class Persisted:
    """A value that survives restarts."""

    name: str
    value: str


Change = Entry | Receipt | Persisted


@dataclass(slots=True)
class Applied:
    """`stored` is durable, `rejected` found no room; `waiting` entries are on disk now."""

    stored: list[Entry] = field(default_factory=list)
    rejected: list[Entry] = field(default_factory=list)
    waiting: int = 0
    oldest: int | None = None
    """The number of the oldest event that waits."""
    newest: int = 0


class Journal:
    """One SQLite file in `directory`. Use it from one thread at a time. Raises sqlite3.Error.

    Opening it counts a start: `boot` is one more than ever before, durably, when this returns.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = directory / "journal.sqlite"
        self.was_damaged = False
        self._counts: Counter[str] = Counter()
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # a full or read-only disk is no reason to begin anew
            self._move_aside()
            self._open()

    def apply(self, changes: Sequence[Change]) -> Applied:
        """Apply the changes in this order, in one transaction."""
        applied, counts = Applied(), self._counts.copy()
        try:
            with self._database:
                for change in changes:
                    self._apply(change, applied)
        except sqlite3.Error:
            self._counts = counts
            raise
        applied.waiting = self.count()
        applied.oldest, applied.newest = self.numbers()
        return applied

    def _apply(self, change: Change, applied: Applied) -> None:
        if isinstance(change, Receipt):
            gone = self._database.execute("DELETE FROM waiting WHERE id = ? RETURNING kind", (change.of,)).fetchall()
            self._counts.subtract(kind for (kind,) in gone)
            self._database.execute("DELETE FROM numbered WHERE event = ?", (change.of,))
        elif isinstance(change, Persisted):
            self._remember(change.name, change.value)
        elif change.kind == "outcome" or self._counts[change.kind] < QUOTAS.get(change.kind, OTHERS):
            applied.stored.append(self._store(change))
        else:
            applied.rejected.append(change)

    def number_unnumbered(self, again: Callable[[bytes, int], bytes]) -> None:
        """Number the events of an old journal without numbers; `again` signs a payload with its number."""
        old = "kind != 'outcome' AND id NOT IN (SELECT event FROM numbered)"
        query = f"SELECT id, payload FROM waiting WHERE {old} ORDER BY n"  # noqa: S608 (our own words)
        with self._database:
            for name, payload in self._database.execute(query).fetchall():
                number = self.numbers()[1] + 1
                self._database.execute("INSERT INTO numbered VALUES (?, ?)", (name, number))
                self._database.execute("UPDATE newest SET number = ?", (number,))
                self._database.execute("UPDATE waiting SET payload = ? WHERE id = ?", (again(payload, number), name))

    def numbers(self) -> tuple[int | None, int]:
        """The numbers of the oldest waiting event and of the newest event ever."""
        oldest = self._database.execute("SELECT min(number) FROM numbered").fetchone()[0]
        return oldest, int(self._database.execute("SELECT number FROM newest").fetchone()[0])

    def persisted(self) -> dict[str, str]:
        return dict(self._database.execute("SELECT name, value FROM lasting"))

    def _remember(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO lasting VALUES (?, ?)", (name, value))

    def count(self) -> int:
        return self._counts.total()

    def oldest(self, most: int) -> list[Entry]:
        rows = self._database.execute("SELECT id, kind, payload FROM waiting ORDER BY n LIMIT ?", (most,))
        return [Entry(name, kind, payload) for name, kind, payload in rows]

    def acted(self) -> list[str]:
        """The latest executed commands, oldest first."""
        return [row[0] for row in self._database.execute("SELECT command FROM acted ORDER BY n")]

    def held(self) -> dict[Key, HeldBack]:
        rows = self._database.execute("SELECT kind, reason, count, first_at FROM held")
        return {
            (kind, reason): HeldBack(count, datetime.fromisoformat(first_at)) for kind, reason, count, first_at in rows
        }

    def remember_held(self, held: dict[Key, HeldBack]) -> None:
        """Replace the stored counts."""
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
            self._database.execute(f"PRAGMA max_page_count = {MAX_PAGES}")
            self._database.execute("PRAGMA wal_autocheckpoint = 100")
            self._database.executescript(TABLES)
            with self._database:
                self._database.execute(
                    "INSERT INTO start VALUES (1, 1, ?) ON CONFLICT DO UPDATE SET boot = boot + 1",
                    (token_hex(4),),
                )
            self._counts = Counter(
                dict(self._database.execute("SELECT kind, count(*) FROM waiting GROUP BY kind").fetchall())
            )
            self.boot, self.mark = self._database.execute("SELECT boot, mark FROM start").fetchone()
            with closing(self._database.execute("PRAGMA quick_check")) as check:
                if (found := check.fetchone()[0]) != "ok":
                    raise sqlite3.DatabaseError(found)
        except sqlite3.Error:
            self._database.close()
            raise

    def _move_aside(self) -> None:
        """Move a damaged journal aside for analysis, and start a new one."""
        self.was_damaged = True
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        for path in self.path.parent.glob(self.path.name + "*"):
            if ".damaged-" not in path.name:
                path.rename(path.with_name(f"{path.name}.damaged-{stamp}"))

    def _store(self, entry: Entry) -> Entry:
        """Store an entry and number it. One that is stored already, as after a disk failure, is left as it is."""
        known = self._database.execute("SELECT payload FROM waiting WHERE id = ?", (entry.id,)).fetchone()
        if known is not None:
            return replace(entry, payload=known[0])
        if entry.numbered is not None:
            number = self.numbers()[1] + 1
            entry = replace(entry, payload=entry.numbered(number))
            self._database.execute("INSERT INTO numbered VALUES (?, ?)", (entry.id, number))
            self._database.execute("UPDATE newest SET number = ?", (number,))
        if entry.persisted is not None:
            self._remember(*entry.persisted)
        self._database.execute(
            "INSERT INTO waiting (id, kind, payload) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (entry.id, entry.kind, entry.payload),
        )
        self._counts[entry.kind] += 1
        if entry.kind == "outcome" and self._counts["outcome"] > QUOTAS["outcome"]:
            self._database.execute("DELETE FROM waiting WHERE n = (SELECT min(n) FROM waiting WHERE kind = 'outcome')")
            self._counts["outcome"] -= 1
        if entry.acted:
            self._database.execute("INSERT INTO acted (command) VALUES (?) ON CONFLICT DO NOTHING", (entry.id,))
            self._database.execute(
                "DELETE FROM acted WHERE n <= (SELECT n FROM acted ORDER BY n DESC LIMIT 1 OFFSET ?)",
                (MAX_ACTED,),
            )
        return entry
