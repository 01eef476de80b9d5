"""Rate limits by token buckets."""

import time
from collections.abc import Callable

MIN_PURGE_SIZE = 1000
"""Full buckets are not purged while there are fewer."""


class Limiter:
    """A token bucket for each key: `burst` tokens, refilled evenly over `per_seconds`. In memory only."""

    def __init__(self, burst: int, per_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._rate = burst / per_seconds
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._purge_above = MIN_PURGE_SIZE

    def wait_seconds(self, key: str) -> float:
        """Take a token: 0 if there was one, otherwise the seconds until the next."""
        now = self._clock()
        tokens, at = self._buckets.get(key, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            return (1 - tokens) / self._rate
        self._buckets[key] = (tokens - 1, now)
        self._purge_full(now)
        return 0.0

    def is_spent(self, key: str) -> bool:
        """Whether there is no token; takes none."""
        tokens, at = self._buckets.get(key, (float(self._burst), 0.0))
        return tokens + (self._clock() - at) * self._rate < 1

    def _purge_full(self, now: float) -> None:
        """Delete full buckets.

        Only when there are twice as many buckets as after the last purge, so that the amortised cost is constant.
        """
        if len(self._buckets) > self._purge_above:
            full = [
                key for key, (tokens, at) in self._buckets.items() if tokens + (now - at) * self._rate >= self._burst
            ]
            for key in full:
                del self._buckets[key]
            self._purge_above = max(MIN_PURGE_SIZE, 2 * len(self._buckets))


class Allowance:
    """A single token bucket: refilled by `per_second`, and by what is earned."""

    def __init__(self, per_second: float, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = most
        self._clock = clock
        self._tokens = most
        self._at = clock()

    def earn(self, amount: float) -> None:
        self._tokens = min(self._most, self._tokens + amount)

    def take(self) -> bool:
        """Take a token; False if there is none."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
