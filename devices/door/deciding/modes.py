"""Whether a door stands unlocked for all: by a person's word, or by its opening schedule. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from devices.contract.door import Mode


@dataclass(frozen=True, slots=True)
class Lasting:
    """What outlives a restart. A hold does not: nobody may find a door open that somebody forgot before a power cut."""

    locked: bool = False
    lockdown: bool = False
    ordered: int = 0
    """The audit number of the last order about a lockdown: a list that knows less says nothing about it."""


class Modes:
    """`clock` in seconds that only grow: a hold ends by itself, whatever happens to the time of day."""

    def __init__(self, clock: Callable[[], float], lasting: Lasting) -> None:
        self._clock = clock
        self._held_until: float | None = None
        self.lasting = lasting

    @property
    def mode(self) -> Mode:
        if self.hold_seconds:
            return "held_open"
        return "locked" if self.lasting.locked else "schedule"

    @property
    def hold_seconds(self) -> int:
        """How long it is still held open, rounded up."""
        left = 0.0 if self._held_until is None else self._held_until - self._clock()
        return max(0, -int(-left // 1))

    def snapshot(self) -> tuple[float | None, Lasting]:
        """To go back to with `restore`, when the hardware does not follow."""
        return self._held_until, self.lasting

    def restore(self, before: tuple[float | None, Lasting]) -> None:
        self._held_until, self.lasting = before

    def hold_open(self, seconds: int) -> None:
        self._held_until = self._clock() + seconds
        self.lasting = replace(self.lasting, locked=False)

    def lock(self) -> None:
        """Until somebody resumes the schedule; card holders still come in."""
        self._held_until = None
        self.lasting = replace(self.lasting, locked=True)

    def resume(self) -> None:
        self._held_until = None
        self.lasting = replace(self.lasting, locked=False)

    def set_lockdown(self, *, is_on: bool, ordered: int | None = None) -> None:
        """It ends a hold: what stood open is shut. `ordered`: the order's audit number; None: by the list."""
        if is_on:
            self._held_until = None
        known = self.lasting.ordered if ordered is None else ordered
        self.lasting = replace(self.lasting, lockdown=is_on, ordered=known)

    def hold_has_ended(self) -> bool:
        """True once, when the time is over."""
        if self._held_until is None or self._clock() < self._held_until:
            return False
        self._held_until = None
        return True

    def is_open(self, *, by_schedule: bool) -> bool:
        """Unlocked for all."""
        if self.lasting.lockdown:
            return False
        return self.mode == "held_open" or (by_schedule and self.mode == "schedule")
