"""A flood of bad commands fills neither the disk nor the hub: the first are told, the rest counted.

Each (kind, reason) has a bucket of BURST events that fills by one every REFILL_SECONDS. What finds the bucket
empty is counted and goes out as one event with its `count` when there is room again. Nothing is dropped
without a number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

BURST = 10
REFILL_SECONDS = 10.0

Key = tuple[str, str | None]
"""An event's kind and reason."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """`count` events of one key that have not been told, the first of them at `first_at`."""

    count: int
    first_at: datetime


class FloodGate:
    """Pure; `clock` in seconds that only grow."""

    def __init__(self, clock: Callable[[], float], held: dict[Key, HeldBack] | None = None) -> None:
        self._clock = clock
        self._buckets: dict[Key, tuple[float, float]] = {}
        self.held: dict[Key, HeldBack] = dict(held or {})

    def admits(self, key: Key, at: datetime) -> bool:
        """True: tell this one by itself. False: it has been counted."""
        if key not in self.held and self._take(key):
            return True
        self.hold(key, HeldBack(1, at))
        return False

    def hold(self, key: Key, more: HeldBack) -> None:
        """Count these; also what turned out to have no room on disk."""
        held = self.held.get(key)
        self.held[key] = HeldBack(held.count + more.count, min(held.first_at, more.first_at)) if held else more

    def due(self) -> dict[Key, HeldBack]:
        """What may be told now, and is no longer held here."""
        return {key: self.held.pop(key) for key in list(self.held) if self._take(key)}

    def _take(self, key: Key) -> bool:
        now = self._clock()
        tokens, since = self._buckets.get(key, (float(BURST), now))
        tokens = min(BURST, tokens + (now - since) / REFILL_SECONDS)
        taken = tokens >= 1
        self._buckets[key] = (tokens - taken, now)
        return taken
