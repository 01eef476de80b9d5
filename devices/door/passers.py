"""Simulated people who come to a simulated door."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random


class Passers:
    """Each enters one of `words`, such as `show card:26:12:3456`; the same seed gives the same people."""

    def __init__(self, words: Sequence[str], every_seconds: float, seed: str) -> None:
        self._words = words
        self._every_seconds = every_seconds
        self._random = Random(seed)  # noqa: S311 (people, not secrets)

    @classmethod
    def read(cls, path: Path, every_seconds: float, seed: str) -> "Passers":
        """One on each line; what begins with # is for the reader. Raises OSError, or ValueError for an empty file."""
        words = [line.strip() for line in path.read_text().splitlines()]
        words = [line for line in words if line and not line.startswith("#")]
        if not words:
            raise ValueError(f"{path}: nobody comes; write one on each line, such as `show card:26:12:3456`")
        return cls(words, every_seconds, seed)

    async def come(self, handle_line: Callable[[str], None]) -> None:
        """Call `handle_line` at random intervals until cancelled."""
        while True:
            await asyncio.sleep(self._random.expovariate(1 / self._every_seconds))
            handle_line(self._random.choice(self._words))
