"""How the readers of a door are, for its state, its events and its heartbeat."""

from devices.contract.door import EventKind, Input
from devices.door.hardware.reader import Condition, Reader

TOLD: dict[Input, tuple[EventKind, EventKind]] = {
    "fire": ("fire", "fire_over"),
    "tamper": ("tamper", "tamper_over"),
    "mains_lost": ("mains_lost", "mains_back"),
    "reader_lost": ("reader_lost", "reader_back"),
}
"""What is told when an input is set, and when it is not any more."""


class Conditions:
    """Of all readers, by name. Until a reader has said something it is taken to be well."""

    def __init__(self) -> None:
        self._of: dict[str, Condition] = {}

    @property
    def inputs(self) -> frozenset[Input]:
        return frozenset[Input]().union(*(condition.inputs() for condition in self._of.values()))

    @property
    def problem(self) -> str | None:
        return "; ".join(condition.problem for condition in self._of.values() if condition.problem) or None

    def becomes(self, reader: Reader, condition: Condition) -> list[EventKind]:
        """What is to be told of it."""
        before = self._of.get(reader.name, Condition())
        self._of[reader.name] = condition
        changed = sorted(before.inputs() ^ condition.inputs())
        kinds = [TOLD[name][name not in condition.inputs()] for name in changed]
        if condition.is_refused and not before.is_refused:
            kinds.append("reader_refused")
        return kinds
