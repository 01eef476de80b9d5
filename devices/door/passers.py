"""People who come to a simulated door by themselves, so that something happens at it."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random


class Passers:
    """Each comes with one of `words`, such as `show card:26:12:3456`; the same seed, the same people."""

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

    async def come(self, told: Callable[[str], None]) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._random.expovariate(1 / self._every_seconds))
            told(self._random.choice(self._words))
