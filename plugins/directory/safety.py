"""Whether a reading is plausible as to who is protected or disabled.

Access rules of a directory can hide an attribute silently. A reading without it looks complete, but nobody is disabled
or in a protected unit then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hub.plugin import PersonIds
from plugins.directory.config import Settings, folded_unit
from plugins.directory.models import Employee

MAX_MISSING = 0.01
"""The share of entries that may lack a needed attribute."""
FEW = 3
"""Fewer changes than this are always plausible; of many people, up to MAX_CHANGED."""
MAX_CHANGED = 0.05


@dataclass(frozen=True)
class Protection:
    """What one reading says about people who must not be found or let in."""

    entries: int = 0
    without_unit: int = 0
    without_state: int = 0
    """Entries without the attribute that marks disabled accounts."""
    disabled: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()

    def as_stored(self) -> dict[str, Any]:
        """As JSON for the store."""
        return asdict(self) | {"disabled": sorted(self.disabled), "protected": sorted(self.protected)}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "Protection":
        return cls(**{**stored, "disabled": frozenset(stored["disabled"]), "protected": frozenset(stored["protected"])})


class Tally:
    """Counts entries while they are read."""

    def __init__(self, settings: Settings, ids: PersonIds) -> None:
        self._settings = settings
        self._ids = ids
        self._entries = self._without_unit = self._without_state = 0
        self._disabled: set[str] = set()

    def count(self, key: str | None, entry: Mapping[str, list[str]], *, is_disabled: bool) -> None:
        """`key`: the person's identifier; entries without one are ignored."""
        if not key:
            return
        self._entries += 1
        self._without_unit += not any(value.strip() for value in entry.get(self._settings.attributes.unit.lower(), []))
        self._without_state += not entry.get(self._settings.disabled_when.attribute.lower())
        if is_disabled:
            self._disabled.add(self._ids.of(key))

    def result(self, employees: Iterable[Employee]) -> Protection:
        protected = frozenset(employee.id for employee in employees if self._settings.is_protected(employee.unit))
        return Protection(self._entries, self._without_unit, self._without_state, frozenset(self._disabled), protected)


def doubts(
    before: Protection | None, found: Protection, employees: Mapping[str, Employee], settings: Settings
) -> list[str]:
    """Reasons to reject a reading; empty when it is plausible."""
    reasons = []
    names = settings.attributes
    if settings.protected_units and _is_more(found.without_unit, before.without_unit if before else 0, found.entries):
        reasons.append(f"{names.unit} is missing from {found.without_unit} of {found.entries} people")
    has_state = settings.disabled_when.bit is not None or (before is not None and before.entries > 0)
    if has_state and _is_more(found.without_state, before.without_state if before else 0, found.entries):
        attribute = settings.disabled_when.attribute
        reasons.append(f"{attribute} is missing from {found.without_state} of {found.entries} people")
    if before is not None:
        let_in = sum(person_id in employees for person_id in before.disabled)
        if let_in > max(FEW - 1, MAX_CHANGED * len(before.disabled)):
            reasons.append(f"{let_in} of {len(before.disabled)} who were left out are not any more")
        shown = sum(person_id in employees and person_id not in found.protected for person_id in before.protected)
        if settings.protected_units and shown > max(FEW - 1, MAX_CHANGED * len(before.protected)):
            reasons.append(f"{shown} of {len(before.protected)} people of protected units are in another one now")
    return reasons


def unmatched(settings: Settings, employees: Iterable[Employee]) -> list[str]:
    """Protected units in which nobody works; probably misspelt."""
    there = {folded_unit(employee.unit) for employee in employees}
    return sorted(unit for unit in settings.protected_units if folded_unit(unit) not in there)


def _is_more(missing: int, before: int, entries: int) -> bool:
    return missing - before > max(FEW - 1, MAX_MISSING * entries)
