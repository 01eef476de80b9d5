"""What entities were, and when: collected on the loop, written by a process of its own, read in a thread.

It is telemetry, not truth: a hub that is killed may lose its last second, and one whose writer cannot keep up drops
the oldest and says so. It must never make an order wait.
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
ANSWER_SECONDS = 30
STOP_SECONDS = 5
LONGEST_WAIT_SECONDS = 4
MOST_WAITING = 500_000
MOST_POINTS = 2000
FOLDER = Path(__file__).resolve().parent

dropped_total = Counter("history_dropped_total", "Changes of entities that the history had no room for")


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` is Unix time; `value` a number, a word, or None for unknown or away."""

    at: float
    value: str | float | None


class History:
    """`remember` is called on the loop and only appends. `open`, then `run` for ever; `close` when that has ended."""

    def __init__(self, path: Path, keep_days: int) -> None:
        """`keep_days` 0: nothing is kept."""
        self.problem: str | None = None
        self.written = 0
        """Rows that are in the database, since the start."""
        self._path = path
        self.keep_days = keep_days
        self._numbers: dict[str, int] = {}
        self._names: list[tuple[int, str]] = []
        self._keep: list[tuple[int, int | None]] = []
        self._rows: list[tuple[int, float, str | float | None]] = []
        self._engine: Engine | None = None
        self._has_any = asyncio.Event()

    async def open(self) -> None:
        """Raises sqlalchemy.exc.SQLAlchemyError, NewerSchemaError."""
        self._engine = create_engine(f"sqlite:///{self._path}", connect_args={"timeout": 60}, hide_parameters=True)
        try:
            self._numbers = await asyncio.to_thread(self._prepare, self._engine)
        except DatabaseError as error:
            if not is_damage(error):
                raise
            self._put_damaged_aside()
            self._numbers = await asyncio.to_thread(self._prepare, self._engine)
        if self._numbers:
            self._has_any.set()

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    def remember(self, changes: list[Change]) -> None:
        """What happens (a press) is kept as its word; tags are not kept at all: they may tell who came."""
        if not self.keep_days:
            return
        for change in changes:
            entity = change.entity
            if entity.component == "tag":
                continue
            number = entity.number or self._number(change)
            self._rows.append((number, change.at, change.value))
        if (over := len(self._rows) - MOST_WAITING) > 0:
            dropped_total.inc(over)
            del self._rows[:over]
            self.problem = "it cannot keep up, and drops the oldest changes"

    def keep(self, entity_id: str, days: int | None) -> None:
        """How long this entity's changes stay; None: as long as the others'."""
        if (number := self._numbers.get(entity_id)) is not None:
            self._keep.append((number, days))

    async def read(self, entity_id: str, since: float, until: float) -> list[Sample]:
        """In order; of more than MOST_POINTS numbers the means of as many equal spans."""
        number = self._numbers.get(entity_id)
        if number is None or self._engine is None:
            return []
        return await asyncio.to_thread(_read, self._engine, number, since, until)

    async def run(self) -> None:
        """Start the writer, feed it, start it again when it ends. When cancelled it writes what waits.

        A hub that has never found anything needs no writer; where there is history, it also forgets.
        """
        await self._has_any.wait()
        wait = 0.5
        while True:
            try:
                await self._feed()
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                self.problem = f"its writer has ended ({type(error).__name__}), and is started again"
                log.warning("history_writer_ended", error=type(error).__name__, retry_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    # -- the writer

    def _number(self, change: Change) -> int:
        entity = change.entity
        number = self._numbers.get(entity.id)
        if number is None:
            number = self._numbers[entity.id] = len(self._numbers) + 1
            self._names.append((number, entity.id))
            self._has_any.set()
        entity.number = number
        return number

    async def _feed(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hub.entities.history_writer", str(self._path), str(self.keep_days),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            self._names = [(number, name) for name, number in self._numbers.items()]  # the last one may have known less
            while True:
                await asyncio.sleep(COLLECT_SECONDS)
                await self._hand_over(process)
        finally:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                await self._hand_over(process)
            await _end(process)

    async def _hand_over(self, process: asyncio.subprocess.Process) -> None:
        """One frame; what it held waits again when the writer does not answer."""
        if not self._rows and not self._names and not self._keep:
            return
        assert process.stdin and process.stdout  # noqa: S101, PT018 (both are pipes)
        rows, self._rows = self._rows, []
        names, self._names = self._names, []
        keep, self._keep = self._keep, []
        try:
            body = orjson.dumps({"names": names, "keep": keep, "rows": rows})
            process.stdin.write(struct.pack("!I", len(body)) + body)
            async with asyncio.timeout(ANSWER_SECONDS):
                await process.stdin.drain()
                await process.stdout.readuntil()
        except BaseException:
            self._rows, self._names, self._keep = rows + self._rows, names + self._names, keep + self._keep
            raise
        self.written += len(rows)
        self.problem = None

    def _put_damaged_aside(self) -> None:
        """It is telemetry: a new one is begun, and nobody has to do anything."""
        assert self._engine is not None  # noqa: S101 (`open` made it)
        self._engine.dispose()
        aside = self._path.with_suffix(".damaged")
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        log.error("history_damaged", kept_as=str(aside))

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
        if count > MOST_POINTS and numbers == count:
            width = (until - since) / MOST_POINTS
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
                span | {"most": MOST_POINTS},
            )
        return sorted((Sample(row.at, row.value) for row in rows), key=lambda sample: sample.at)
