"""How long a device waits before it reconnects. Pure: the clock is injected."""

import time
from collections.abc import Callable

SHORTEST_SECONDS = 0.2
FIRST_LONGEST_SECONDS, FIRST_MINUTES = 5.0, 5
"""In the first minutes of an outage retries are frequent, since somebody may wait at the tablet or door."""
LONGEST_SECONDS = 30.0
AFTER_TAKEOVER_SECONDS, LONGEST_AFTER_TAKEOVER = 5.0, 300.0
SETTLED_SECONDS = 30.0
"""A connection that lasted this long ends the outage, and was not taken over."""
CUTS_OF_TAKEOVER = 3
"""Debian's Mosquitto 2.0.11 does not report a takeover: this many short connections in a row count as one. A broker
that restarts repeatedly looks the same, so the penalty is small."""


def longest_wait(failures: int, away_seconds: float) -> float:
    """The longest wait in seconds after this many failures in an outage that has lasted `away_seconds`.

    At most 5 s in the first five minutes, and then a second more for each minute, up to 30 s.
    """
    wait = min(SHORTEST_SECONDS * 2.0 ** min(failures - 1, 10), FIRST_LONGEST_SECONDS)
    if away_seconds <= FIRST_MINUTES * 60:
        return wait
    return min(away_seconds / 60, LONGEST_SECONDS)


class ReconnectPolicy:
    """Call `connected` when a connection succeeds, and `lost` when it, or an attempt, ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.taken_over = 0
        """How often another connection with our account has ended ours."""
        self._clock = clock
        self._failures = 0
        self._cuts = 0
        self._connected_at: float | None = None
        self._away_since: float | None = None

    def connected(self) -> None:
        self._connected_at = self._clock()

    def lost(self, *, is_reported: bool = False) -> tuple[float, bool]:
        """The longest wait before the next attempt, and whether another connection has taken over ours.

        `is_reported`: the broker has reported a takeover.
        """
        now = self._clock()
        connected_at, self._connected_at = self._connected_at, None
        if connected_at is not None and now - connected_at >= SETTLED_SECONDS:
            self._failures = self._cuts = 0
            self._away_since = None
        elif connected_at is not None and self._away_since is not None:
            self._away_since += now - connected_at  # the outage continues, less the time connected
        if self._away_since is None:
            self._away_since = now
        self._failures += 1
        self._cuts = 0 if connected_at is None else self._cuts + 1
        wait = longest_wait(self._failures, now - self._away_since)
        if is_reported:
            self._cuts = max(self._cuts, CUTS_OF_TAKEOVER)
            doubled = AFTER_TAKEOVER_SECONDS * 2.0 ** min(self._cuts - CUTS_OF_TAKEOVER, 10)
            wait = min(doubled, LONGEST_AFTER_TAKEOVER)
        elif self._cuts >= CUTS_OF_TAKEOVER:
            wait = max(wait, AFTER_TAKEOVER_SECONDS)
        is_taken = self._cuts >= CUTS_OF_TAKEOVER
        self.taken_over += is_taken
        return wait, is_taken
