"""Detects enumeration of employees' names: many different prefixes searched for, at all kiosks together.

A visitor types one or two. A limit for each kiosk alone would not help where there are many.
"""

import time
from collections import Counter
from collections.abc import Callable

from hub.plugin import Limiter

SECONDS = 600.0
LETTERS = 4
"""Searches that share these first letters count as one: somebody is still typing."""
PART = 4
"""A kiosk with more than one in PART of all prefixes is suspected."""


class EnumerationGuard:
    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` different prefixes at once, and as many again in ten minutes."""
        self._most = most
        self._clock = clock
        self._limit = Limiter(most, SECONDS, clock)
        self._known: dict[str, tuple[float, str]] = {}
        """Prefix → when and at which kiosk it was first searched for."""
        self._suspected: dict[str, float] = {}

    def wait_seconds(self, text: str, device: str) -> float:
        """Seconds to wait before this search is allowed; 0 for now, and for prefixes searched for recently."""
        now = self._clock()
        self._known = {name: seen for name, seen in self._known.items() if now - seen[0] < SECONDS}
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
        """The kiosks that were suspected in the last ten minutes."""
        since = self._clock() - SECONDS
        return sorted(device for device, at in self._suspected.items() if at > since)
