"""Slows guessing down: after a few failed tries a reader is blocked for a while, longer each time."""

from collections.abc import Callable
from dataclasses import dataclass

FREE_TRIES = 5
WITHIN_SECONDS = 15 * 60.0
FIRST_WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 15 * 60.0


@dataclass(frozen=True, slots=True)
class Penalty:
    """`failures` in a row; `wait_seconds` from now on."""

    failures: int = 0
    wait_seconds: float = 0.0


class Tries:
    """Failed tries at one reader. Pure; `clock`: monotonic seconds. `before`: the penalty before a restart."""

    def __init__(self, clock: Callable[[], float], before: Penalty) -> None:
        self._clock = clock
        self._failures = before.failures
        self._until = clock() + before.wait_seconds
        self._last = clock()

    @property
    def penalty(self) -> Penalty:
        return Penalty(self._failures, max(0.0, self._until - self._clock()))

    def failed(self) -> float:
        """Count a failure; for how many seconds the reader is blocked."""
        now = self._clock()
        if now - self._last > WITHIN_SECONDS:
            self._failures = 0
        self._failures, self._last = self._failures + 1, now
        if self._failures >= FREE_TRIES:
            wait = min(FIRST_WAIT_SECONDS * 2 ** (self._failures - FREE_TRIES), LONGEST_WAIT_SECONDS)
            self._until = now + wait
        return self.penalty.wait_seconds

    def succeeded(self) -> None:
        self._failures = 0
