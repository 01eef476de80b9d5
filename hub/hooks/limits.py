"""Rate limits: a bucket for each key that fills again with time."""

import time
from collections.abc import Callable

FEW = 1000
"""So many buckets are never looked through."""


class Limiter:
    """`burst` at once, refilled evenly over `per_seconds`. In memory: a restart forgives."""

    def __init__(self, burst: int, per_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._rate = burst / per_seconds
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._look_at = FEW

    def wait_seconds(self, key: str) -> float:
        """0 and one taken, or how long until the next one is free."""
        now = self._clock()
        left, at = self._buckets.get(key, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._rate)
        if left < 1:
            self._buckets[key] = (left, now)
            return (1 - left) / self._rate
        self._buckets[key] = (left - 1, now)
        self._forget(now)
        return 0.0

    def is_spent(self, key: str) -> bool:
        """Whether nothing is left; takes nothing."""
        left, at = self._buckets.get(key, (float(self._burst), 0.0))
        return left + (self._clock() - at) * self._rate < 1

    def _forget(self, now: float) -> None:
        """Full buckets need not be kept.

        They are looked for when there are twice as many as were left the last time, so that a call costs the same
        however many there are.
        """
        if len(self._buckets) > self._look_at:
            full = [key for key, (left, at) in self._buckets.items() if left + (now - at) * self._rate >= self._burst]
            for key in full:
                del self._buckets[key]
            self._look_at = max(FEW, 2 * len(self._buckets))


class Allowance:
    """How much one may still send: so much a second, and more for what it has earned."""

    def __init__(self, per_second: float, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = most
        self._clock = clock
        self._left = most
        self._at = clock()

    def earn(self, amount: float) -> None:
        self._left = min(self._most, self._left + amount)

    def take(self) -> bool:
        """False, and nothing taken, when there is none left."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
