"""Whether a door is unlocked for all: by command, or by its opening schedule. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from devices.contract.door import Mode


@dataclass(frozen=True, slots=True)
class SavedModes:
    """What survives a restart. A hold does not, so that no forgotten door is open after a power cut."""

    locked: bool = False
    lockdown: bool = False
    ordered: int = 0
    """Audit number of the last lockdown order: lists from before it are ignored as to lockdowns."""


class Modes:
    """`clock`: monotonic seconds, so that a hold ends whatever happens to the time of day."""

    def __init__(self, clock: Callable[[], float], saved: SavedModes) -> None:
        self._clock = clock
        self._held_until: float | None = None
        self.saved = saved

    @property
    def mode(self) -> Mode:
        if self.hold_seconds:
            return "held_open"
        return "locked" if self.saved.locked else "schedule"

    @property
    def hold_seconds(self) -> int:
        """How long it is still held open, rounded up."""
        left = 0.0 if self._held_until is None else self._held_until - self._clock()
        return max(0, -int(-left // 1))

    def snapshot(self) -> tuple[float | None, SavedModes]:
        """For `restore`, when the hardware fails."""
        return self._held_until, self.saved

    def restore(self, before: tuple[float | None, SavedModes]) -> None:
        self._held_until, self.saved = before

    def hold_open(self, seconds: int) -> None:
        self._held_until = self._clock() + seconds
        self.saved = replace(self.saved, locked=False)

    def lock(self) -> None:
        """Lock until `resume`; credentials still open."""
        self._held_until = None
        self.saved = replace(self.saved, locked=True)

    def resume(self) -> None:
        self._held_until = None
        self.saved = replace(self.saved, locked=False)

    def set_lockdown(self, *, is_on: bool, ordered: int | None = None) -> None:
        """Begin or end a lockdown; it ends a hold. `ordered`: the order's audit number; None: by the list."""
        if is_on:
            self._held_until = None
        known = self.saved.ordered if ordered is None else ordered
        self.saved = replace(self.saved, lockdown=is_on, ordered=known)

    def hold_has_ended(self) -> bool:
        """True once, when a hold has ended."""
        if self._held_until is None or self._clock() < self._held_until:
            return False
        self._held_until = None
        return True

    def is_open(self, *, by_schedule: bool) -> bool:
        """Whether the door is unlocked for all."""
        if self.saved.lockdown:
            return False
        return self.mode == "held_open" or (by_schedule and self.mode == "schedule")
