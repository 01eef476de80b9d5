"""How long a device waits before it connects again; no network in it, and no clock but the one it is given."""

import time
from collections.abc import Callable

SHORTEST_SECONDS = 0.2
FIRST_LONGEST_SECONDS, FIRST_MINUTES = 5.0, 5
"""Somebody stands at the tablet, or at the door: for so long an outage is one that ends any moment."""
LONGEST_SECONDS = 30.0
AFTER_TAKEOVER_SECONDS, LONGEST_AFTER_TAKEOVER = 5.0, 300.0
SETTLED_SECONDS = 30.0
"""A connection that lasted so long has held: it ends the outage, and was not one of two that end each other."""
CUT_OFTEN = 3
"""Debian's Mosquitto 2.0.11 takes a connection over without a word: so often in a row, between connections that
succeed at the first try, says the same. So does a broker that is started again at once, and so it costs little."""


def longest_wait(failures: int, away_seconds: float) -> float:
    """In seconds, before the next try: after so many failures in an outage, and so long without a connection in it.

    At most 5 s in its first five minutes, and then a second more for each minute, up to 30 s.
    """
    wait = min(SHORTEST_SECONDS * 2.0 ** min(failures - 1, 10), FIRST_LONGEST_SECONDS)
    if away_seconds <= FIRST_MINUTES * 60:
        return wait
    return min(away_seconds / 60, LONGEST_SECONDS)


class ComingBack:
    """Told when a connection succeeds and when it, or a try, ends."""

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

    def lost(self, *, is_told: bool = False) -> tuple[float, bool]:
        """The longest wait before the next try, and whether another connection has taken ours.

        `is_told`: the broker says that one has.
        """
        now = self._clock()
        connected_at, self._connected_at = self._connected_at, None
        if connected_at is not None and now - connected_at >= SETTLED_SECONDS:
            self._failures = self._cuts = 0
            self._away_since = None
        elif connected_at is not None and self._away_since is not None:
            self._away_since += now - connected_at  # the outage goes on, without what was between
        if self._away_since is None:
            self._away_since = now
        self._failures += 1
        self._cuts = 0 if connected_at is None else self._cuts + 1
        wait = longest_wait(self._failures, now - self._away_since)
        if is_told:
            self._cuts = max(self._cuts, CUT_OFTEN)
            doubled = AFTER_TAKEOVER_SECONDS * 2.0 ** min(self._cuts - CUT_OFTEN, 10)
            wait = min(doubled, LONGEST_AFTER_TAKEOVER)
        elif self._cuts >= CUT_OFTEN:
            wait = max(wait, AFTER_TAKEOVER_SECONDS)
        is_taken = self._cuts >= CUT_OFTEN
        self.taken_over += is_taken
        return wait, is_taken
