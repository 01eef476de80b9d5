"""The history of entities' states: collected on the event loop, written by a separate process, read in a thread.

It is telemetry: a hub that is killed may lose the last second, and if the writer cannot keep up the oldest changes are
dropped and counted. It must never delay an order.
"""

import asyncio
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog
from prometheus_client import Counter
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DatabaseError

from hub.entities.entity import Change
from hub.store.migrating import migrate
from hub.store.trouble import is_damage

log = structlog.get_logger("history")

COLLECT_SECONDS = 0.25
WRITE_TIMEOUT_SECONDS = 30
STOP_SECONDS = 5
MAX_RETRY_SECONDS = 4
MAX_QUEUED_ROWS = 500_000
MAX_POINTS = 2000
FOLDER = Path(__file__).resolve().parent

dropped_total = Counter("history_dropped_total", "Changes of entities that the history had no room for")


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` is Unix time; `value` is a number, a text, or None if unknown or offline."""

    at: float
    value: str | float | None


class History:
    """`record` is called on the event loop and only appends. Call `open`, run `run`, and `close` after it has ended."""

    def __init__(self, path: Path, keep_days: int) -> None:
        """`keep_days` 0 switches the history off."""
        self.problem: str | None = None
        self.written = 0
        """Rows written to the database since the start."""
        self._path = path
        self.keep_days = keep_days
        self._numbers: dict[str, int] = {}
        self._names: list[tuple[int, str]] = []
        self._retentions: list[tuple[int, int | None]] = []
        self._rows: list[tuple[int, float, str | float | None]] = []
        self._engine: Engine | None = None
        self._is_needed = asyncio.Event()

    async def open(self) -> None:
        """Raises sqlalchemy.exc.SQLAlchemyError, NewerSchemaError."""
        self._engine = create_engine(f"sqlite:///{self._path}", connect_args={"timeout": 60}, hide_parameters=True)
        try:
            self._numbers = await asyncio.to_thread(self._prepare, self._engine)
        except DatabaseError as error:
            if not is_damage(error):
                raise
            self._move_damaged_file()
            self._numbers = await asyncio.to_thread(self._prepare, self._engine)
        if self._numbers:
            self._is_needed.set()

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    def record(self, changes: list[Change]) -> None:
        """Queue changes to be written. Tags are left out: they may identify a person."""
        if not self.keep_days:
            return
        for change in changes:
            entity = change.entity
            if entity.component == "tag":
                continue
            number = entity.number or self._assign_number(change)
            self._rows.append((number, change.at, change.value))
        if (excess := len(self._rows) - MAX_QUEUED_ROWS) > 0:
            dropped_total.inc(excess)
            del self._rows[:excess]
            self.problem = "it cannot keep up, and drops the oldest changes"

    def set_retention(self, entity_id: str, days: int | None) -> None:
        """Set how many days this entity's changes are kept; None: the configured default."""
        if (number := self._numbers.get(entity_id)) is not None:
            self._retentions.append((number, days))

    async def read(self, entity_id: str, since: float, until: float) -> list[Sample]:
        """In order of time; more than MAX_POINTS numbers are averaged over MAX_POINTS equal spans."""
        number = self._numbers.get(entity_id)
        if number is None or self._engine is None:
            return []
        return await asyncio.to_thread(_read, self._engine, number, since, until)

    async def run(self) -> None:
        """Run the writer process and restart it if it ends. What is queued is still written when cancelled.

        The writer is not started before there is something to write, or old history to delete.
        """
        await self._is_needed.wait()
        wait = 0.5
        while True:
            try:
                await self._feed()
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                self.problem = f"its writer has ended ({type(error).__name__}), and is started again"
                log.warning("history_writer_ended", error=type(error).__name__, retry_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, MAX_RETRY_SECONDS)

    # -- the writer

    def _assign_number(self, change: Change) -> int:
        entity = change.entity
        number = self._numbers.get(entity.id)
        if number is None:
            number = self._numbers[entity.id] = len(self._numbers) + 1
            self._names.append((number, entity.id))
            self._is_needed.set()
        entity.number = number
        return number

    async def _feed(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hub.entities.history_writer", str(self._path), str(self.keep_days),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            # all of them: the previous writer may not have received the last ones
            self._names = [(number, name) for name, number in self._numbers.items()]
            while True:
                await asyncio.sleep(COLLECT_SECONDS)
                await self._send_frame(process)
        finally:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                await self._send_frame(process)
            await _end(process)

    async def _send_frame(self, process: asyncio.subprocess.Process) -> None:
        """Send one frame; its content is queued again if the writer does not acknowledge it."""
        if not self._rows and not self._names and not self._retentions:
            return
        assert process.stdin and process.stdout  # noqa: S101, PT018 (both are pipes)
        rows, self._rows = self._rows, []
        names, self._names = self._names, []
        retentions, self._retentions = self._retentions, []
        try:
            body = orjson.dumps({"names": names, "keep": retentions, "rows": rows})
            process.stdin.write(struct.pack("!I", len(body)) + body)
            async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
                await process.stdin.drain()
                await process.stdout.readuntil()
        except BaseException:
            self._rows, self._names = rows + self._rows, names + self._names
            self._retentions = retentions + self._retentions
            raise
        self.written += len(rows)
        self.problem = None

    def _move_damaged_file(self) -> None:
        """Start a new database: it is telemetry, so nobody needs to intervene."""
        assert self._engine is not None  # noqa: S101 (`open` made it)
        self._engine.dispose()
        destination = self._path.with_suffix(".damaged")
        self._path.replace(destination)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        log.error("history_damaged", moved_to=str(destination))

    def _prepare(self, engine: Engine) -> dict[str, int]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with engine.begin() as connection:
            migrate(connection, "history", FOLDER / "migrations", self._path.parent)
            return {row.id: row.number for row in connection.execute(text("SELECT id, number FROM entity"))}


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _read(engine: Engine, number: int, since: float, until: float) -> list[Sample]:
    span = {"entity": number, "since": since, "until": until}
    inside = "FROM sample WHERE entity = :entity AND at BETWEEN :since AND :until"
    with engine.connect() as connection:
        count, numbers = connection.execute(
            text(f"SELECT count(*), sum(typeof(value) IN ('real', 'integer', 'null')) {inside}"),
            span,
        ).one()
        if count > MAX_POINTS and numbers == count:
            width = (until - since) / MAX_POINTS
            rows = connection.execute(
                text(
                    "SELECT avg(at) AS at, avg(value) AS value "
                    f"{inside} GROUP BY CAST((at - :since) / :width AS INTEGER) ORDER BY 1"
                ),
                span | {"width": width},
            )
        else:
            rows = connection.execute(
                text(f"SELECT at, value {inside} ORDER BY at DESC LIMIT :most"),
                span | {"most": MAX_POINTS},
            )
        return sorted((Sample(row.at, row.value) for row in rows), key=lambda sample: sample.at)
