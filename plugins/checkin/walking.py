"""Whether somebody goes through the names: many beginnings that have little to do with each other, at all kiosks.

A visitor types one or two. A limit for each kiosk alone is no limit where there are many.
"""

import time
from collections import Counter
from collections.abc import Callable

from hub.plugin import Limiter

SECONDS = 600.0
LETTERS = 4
"""What follows them is the same visitor, still typing."""
PART = 4
"""A kiosk at which this part of all beginnings was typed is one to look at."""


class Walk:
    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` different beginnings at once, and as many again in ten minutes."""
        self._most = most
        self._clock = clock
        self._limit = Limiter(most, SECONDS, clock)
        self._known: dict[str, tuple[float, str]] = {}
        """Beginning → when it was first searched for, and where."""
        self._suspected: dict[str, float] = {}

    def wait_seconds(self, text: str, device: str) -> float:
        """0, or how long until something else than what others have just searched for may be."""
        now = self._clock()
        self._known = {name: one for name, one in self._known.items() if now - one[0] < SECONDS}
        beginning = "".join(filter(str.isalnum, text.casefold()))[:LETTERS]
        if beginning in self._known:
            return 0.0
        if wait := self._limit.wait_seconds(""):
            counts = Counter(where for _, where in self._known.values())
            self._suspected |= {where: now for where, count in counts.items() if count * PART >= self._most}
            return wait
        self._known[beginning] = (now, device)
        return 0.0

    def suspected(self) -> list[str]:
        """The kiosks at which it was done in the last ten minutes."""
        since = self._clock() - SECONDS
        return sorted(device for device, at in self._suspected.items() if at > since)
