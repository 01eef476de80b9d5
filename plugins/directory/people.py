"""The people in memory, for fast searches."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.plugin import PersonIds, now
from plugins.directory.config import Settings
from plugins.directory.contract import Person, Presence
from plugins.directory.models import Employee, folded

MIN_LETTERS = 3


class People:
    def __init__(self, settings: Settings, zone: ZoneInfo, ids: PersonIds) -> None:
        self._settings = settings
        self._zone = zone
        self._ids = ids
        self._canary = folded(settings.canary)
        self._no_visits = frozenset(map(ids.current_id, settings.no_visits))
        self._employees: dict[str, Employee] = {}
        self._in_since: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self._employees)

    def __iter__(self) -> Iterator[Employee]:
        return iter(self._employees.values())

    def replace(self, ordered: dict[str, Employee], in_since: dict[str, datetime]) -> None:
        """`ordered`: of `sorted_by_name`; `in_since`: employee id → when they registered as in."""
        self._employees = ordered
        self._in_since = in_since

    def get(self, person_id: str) -> Employee | None:
        return self._employees.get(person_id)

    def set_presence(self, person_id: str, *, is_in: bool) -> None:
        if is_in:
            self._in_since[person_id] = now()
        else:
            self._in_since.pop(person_id, None)

    def is_in(self, employee: Employee) -> bool:
        """Whether they have registered as in today."""
        since = self._in_since.get(employee.id)
        return since is not None and since.astimezone(self._zone).date() == now().astimezone(self._zone).date()

    def hosts(self, text: str, limit: int) -> list[Person]:
        """People who can be visited and whose name matches every word of `text` by prefix."""
        wanted = folded(text)
        if sum(map(len, wanted)) < MIN_LETTERS:
            return []
        found: list[Person] = []
        for employee in self._employees.values():
            if _begins(wanted, employee.words) and self._can_be_visited(employee):
                found.append(employee.public)
                if len(found) == limit:
                    break
        return found

    def is_canary(self, text: str) -> bool:
        """Whether the search matches the canary, a made-up name that no visitor looks for."""
        wanted = folded(text)
        return sum(map(len, wanted)) >= MIN_LETTERS and _begins(wanted, self._canary)

    def canary_resembles_somebody(self) -> bool:
        """Whether a real name shares the canary's prefix, so that visitors would set it off."""
        beginnings = {word[:MIN_LETTERS] for word in self._canary}
        return any(word[:MIN_LETTERS] in beginnings for employee in self for word in employee.words)

    def host(self, person_id: str) -> Person | None:
        """A person who can be visited; also by an old id, from visits that waited in a kiosk."""
        employee = self._employees.get(self._ids.current_id(person_id))
        return employee.public if employee and self._can_be_visited(employee) else None

    def search(self, text: str) -> list[Employee]:
        """By name, unit, title and tasks; everybody for an empty text."""
        wanted = folded(text)
        return [employee for employee in self._employees.values() if _begins(wanted, employee.all_words)]

    def board(self) -> list[Presence]:
        """People of the configured board units, in that order; protected units never."""
        return [
            Presence(employee.public, self.is_in(employee))
            for unit in self._settings.board_units
            for employee in self._employees.values()
            if employee.unit == unit and not self._settings.is_protected(unit)
        ]

    def _can_be_visited(self, employee: Employee) -> bool:
        return not self._settings.is_protected(employee.unit) and employee.id not in self._no_visits


def sorted_by_name(employees: Iterable[Employee]) -> dict[str, Employee]:
    """By id, sorted by name. Takes some 60 ms for ten thousand: call it in a thread."""
    ordered = {
        employee.id: employee for employee in sorted(employees, key=lambda employee: (employee.words, employee.id))
    }
    for employee in ordered.values():
        _ = employee.public, employee.all_words  # fill the caches here, in the thread
    return ordered


def _begins(wanted: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return all(any(word.startswith(start) for word in words) for start in wanted)
