"""Detects forced doors, doors held open too long, and grants without a passage."""

from collections.abc import Callable

from devices.contract.door import EventKind

GRACE_SECONDS = 5.0
"""Tolerance after a pulse, for a hand on the handle and a slow contact."""
EXIT_SECONDS = 15.0


class Passage:
    """Tracks until when an opening is expected. Pure; `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._expected_until = float("-inf")
        self._granted_until: float | None = None
        self._open_since: float | None = None
        self._is_open_for_all = False
        self._reported_held = False

    def granted(self, pulse_ms: int) -> None:
        self._expect(pulse_ms / 1000 + GRACE_SECONDS)
        self._granted_until = self._expected_until

    def exit_pressed(self) -> None:
        self._expect(EXIT_SECONDS)

    def stands_open_for_all(self, *, is_open: bool) -> None:
        """The door is unlocked for all, or no longer: then an open door is neither forced nor held too long."""
        if self._is_open_for_all and not is_open:
            self._expect(GRACE_SECONDS)
            self._open_since = None if self._open_since is None else self._clock()
        self._is_open_for_all = is_open

    def is_forced(self) -> bool:
        """Asked when the contact opens."""
        return not self._is_open_for_all and self._clock() > self._expected_until

    def opened(self) -> list[EventKind]:
        self._open_since, self._granted_until = self._clock(), None
        return ["forced_open"] if self.is_forced() else []

    def closed(self) -> list[EventKind]:
        was_reported, self._reported_held, self._open_since = self._reported_held, False, None
        return ["closed_again"] if was_reported else []

    def tick(self, held_open_seconds: int | None) -> list[EventKind]:
        """Call every second; events about what did not happen in time."""
        found: list[EventKind] = []
        now = self._clock()
        if self._granted_until is not None and now > self._granted_until:
            self._granted_until = None
            if self._open_since is None and not self._is_open_for_all:
                found.append("not_opened")
        is_long = self._open_since is not None and held_open_seconds and now - self._open_since > held_open_seconds
        if is_long and not self._is_open_for_all and not self._reported_held:
            self._reported_held = True
            found.append("held_too_long")
        return found

    def _expect(self, seconds: float) -> None:
        self._expected_until = max(self._expected_until, self._clock() + seconds)
