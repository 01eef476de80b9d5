"""The real controller as a process of its own, and what its log says that it did."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from devices.contract.enrolment import Enrolment
from tests.patience import PATIENCE_SECONDS


class DoorProcess:
    """Started again as often as a test likes, with the same enrolment and state."""

    def __init__(self, directory: Path, enrolment: Enrolment) -> None:
        self.enrolment = directory / "enrolment.json"
        self.enrolment.write_bytes(enrolment.encoded())
        self.state = directory / "state"
        self.log = directory / "door.log"
        self.process: asyncio.subprocess.Process

    async def start(self, *arguments: str) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "devices.door", self.enrolment, "--simulate"),
                *("--state", self.state, "--exit-with-parent", *arguments),
                stdin=asyncio.subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            )

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")

    async def stop(self, with_signal: int = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(with_signal)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_SECONDS):
            code = await self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        return code

    def lines(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def pulses(self) -> int:
        """Counted where the relay is, not where the command is."""
        return len(self.lines("relay_pulsed"))

    def waiting(self) -> list[str]:
        """Ids in the journal of a controller that does not run."""
        with closing(sqlite3.connect(self.state / "journal.sqlite")) as database, database:
            ids = [row[0] for row in database.execute("SELECT id FROM waiting ORDER BY n")]
        database.close()
        return ids
