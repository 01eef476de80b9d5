"""Conditions of a door's readers, for its state, its events and its heartbeat."""

from devices.contract.door import EventKind, Input
from devices.door.hardware.reader import Condition, Reader

INPUT_EVENTS: dict[Input, tuple[EventKind, EventKind]] = {
    "fire": ("fire", "fire_over"),
    "tamper": ("tamper", "tamper_over"),
    "mains_lost": ("mains_lost", "mains_back"),
    "reader_lost": ("reader_lost", "reader_back"),
}
"""Input → events when it is set and when it is cleared."""


class Conditions:
    """By reader. A reader counts as well until it reports otherwise."""

    def __init__(self) -> None:
        self._of: dict[str, Condition] = {}

    @property
    def inputs(self) -> frozenset[Input]:
        return frozenset[Input]().union(*(condition.inputs() for condition in self._of.values()))

    @property
    def problem(self) -> str | None:
        return "; ".join(condition.problem for condition in self._of.values() if condition.problem) or None

    def update(self, reader: Reader, condition: Condition) -> list[EventKind]:
        """Set a reader's condition; the events to report."""
        before = self._of.get(reader.name, Condition())
        self._of[reader.name] = condition
        changed = sorted(before.inputs() ^ condition.inputs())
        kinds = [INPUT_EVENTS[name][name not in condition.inputs()] for name in changed]
        if condition.is_refused and not before.is_refused:
            kinds.append("reader_refused")
        return kinds
