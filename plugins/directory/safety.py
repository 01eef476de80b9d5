"""Whether a reading can be believed in what protects people: a hidden attribute must open nothing.

Access rules of a directory can hide an attribute without a word, and a reading without it looks whole: nobody is
disabled then, and nobody is in a protected unit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hub.plugin import PersonIds
from plugins.directory.config import Settings, folded_unit
from plugins.directory.models import Employee

MOST_MISSING = 0.01
"""The part of the entries that may lack what is needed."""
FEW = 3
"""So many may change in a day for no worse reason than that they have; of many, MOST_CHANGED."""
MOST_CHANGED = 0.05


@dataclass(frozen=True)
class Protection:
    """What one reading said of those who must not be found or let in."""

    entries: int = 0
    without_unit: int = 0
    without_state: int = 0
    """Lack the attribute that tells who is left out."""
    disabled: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()

    def kept(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self) | {"disabled": sorted(self.disabled), "protected": sorted(self.protected)}

    @classmethod
    def of_kept(cls, kept: Mapping[str, Any]) -> "Protection":
        return cls(**{**kept, "disabled": frozenset(kept["disabled"]), "protected": frozenset(kept["protected"])})


class Tally:
    """Counts entries as they are read."""

    def __init__(self, settings: Settings, ids: PersonIds) -> None:
        self._settings = settings
        self._ids = ids
        self._entries = self._without_unit = self._without_state = 0
        self._disabled: set[str] = set()

    def count(self, key: str | None, entry: Mapping[str, list[str]], *, is_disabled: bool) -> None:
        """`key`: what identifies the person; without one it is no person's entry."""
        if not key:
            return
        self._entries += 1
        self._without_unit += not any(value.strip() for value in entry.get(self._settings.attributes.unit.lower(), []))
        self._without_state += not entry.get(self._settings.disabled_when.attribute.lower())
        if is_disabled:
            self._disabled.add(self._ids.of(key))

    def result(self, employees: Iterable[Employee]) -> Protection:
        protected = frozenset(one.id for one in employees if self._settings.is_protected(one.unit))
        return Protection(self._entries, self._without_unit, self._without_state, frozenset(self._disabled), protected)


def doubts(
    before: Protection | None, found: Protection, employees: Mapping[str, Employee], settings: Settings
) -> list[str]:
    """Why a reading is not to be believed; nothing when it is."""
    said = []
    names = settings.attributes
    if settings.protected_units and _is_more(found.without_unit, before.without_unit if before else 0, found.entries):
        said.append(f"{names.unit} is missing from {found.without_unit} of {found.entries} people")
    has_state = settings.disabled_when.bit is not None or (before is not None and before.entries > 0)
    if has_state and _is_more(found.without_state, before.without_state if before else 0, found.entries):
        attribute = settings.disabled_when.attribute
        said.append(f"{attribute} is missing from {found.without_state} of {found.entries} people")
    if before is not None:
        let_in = sum(one in employees for one in before.disabled)
        if let_in > max(FEW - 1, MOST_CHANGED * len(before.disabled)):
            said.append(f"{let_in} of {len(before.disabled)} who were left out are not any more")
        shown = sum(one in employees and one not in found.protected for one in before.protected)
        if settings.protected_units and shown > max(FEW - 1, MOST_CHANGED * len(before.protected)):
            said.append(f"{shown} of {len(before.protected)} people of protected units are in another one now")
    return said


def unmatched(settings: Settings, employees: Iterable[Employee]) -> list[str]:
    """Protected units in which nobody works: they protect nobody, and are probably misspelt."""
    there = {folded_unit(one.unit) for one in employees}
    return sorted(unit for unit in settings.protected_units if folded_unit(unit) not in there)


def _is_more(missing: int, before: int, entries: int) -> bool:
    return missing - before > max(FEW - 1, MOST_MISSING * entries)
