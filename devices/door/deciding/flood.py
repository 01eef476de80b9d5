"""Rate limit for events: a flood of bad commands fills neither the disk nor the hub.

Each (kind, reason) has a token bucket of BURST events that gains one every REFILL_SECONDS. Events over the limit are
counted, and reported as one event with its `count` when there is a token again. No event is lost without a count.
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
    """`count` events of one key that have not been reported, the first of them at `first_at`."""

    count: int
    first_at: datetime


class FloodGate:
    """Pure; `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float], held: dict[Key, HeldBack] | None = None) -> None:
        self._clock = clock
        self._buckets: dict[Key, tuple[float, float]] = {}
        self.held: dict[Key, HeldBack] = dict(held or {})

    def admits(self, key: Key, at: datetime) -> bool:
        """True: report this event by itself. False: it has been counted."""
        if key not in self.held and self._take_token(key):
            return True
        self.hold(key, HeldBack(1, at))
        return False

    def hold(self, key: Key, more: HeldBack) -> None:
        """Count these events; also those that found no room on disk."""
        held = self.held.get(key)
        self.held[key] = HeldBack(held.count + more.count, min(held.first_at, more.first_at)) if held else more

    def due(self) -> dict[Key, HeldBack]:
        """Counted events that may be reported now; they are removed here."""
        return {key: self.held.pop(key) for key in list(self.held) if self._take_token(key)}

    def _take_token(self, key: Key) -> bool:
        now = self._clock()
        tokens, since = self._buckets.get(key, (float(BURST), now))
        tokens = min(BURST, tokens + (now - since) / REFILL_SECONDS)
        taken = tokens >= 1
        self._buckets[key] = (tokens - taken, now)
        return taken
