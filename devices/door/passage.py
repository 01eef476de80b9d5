"""Whether a door that opened was allowed to: after a grant or the exit button, and not long after."""

from collections.abc import Callable

GRACE_SECONDS = 5.0
"""The lock is released only while the relay pulls, but a hand on the handle and a slow contact need more."""
EXIT_SECONDS = 15.0


class Passage:
    """Remembers until when an opening is expected. Pure; `clock` in seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._expected_until = float("-inf")

    def granted(self, pulse_ms: int) -> None:
        self._expect(pulse_ms / 1000 + GRACE_SECONDS)

    def exit_pressed(self) -> None:
        self._expect(EXIT_SECONDS)

    def is_forced(self) -> bool:
        """Asked when the contact opens."""
        return self._clock() > self._expected_until

    def _expect(self, seconds: float) -> None:
        self._expected_until = max(self._expected_until, self._clock() + seconds)
