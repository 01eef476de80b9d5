"""The people in memory: searching them is what visitors wait for."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.plugin import PersonIds, now
from plugins.directory.config import Settings
from plugins.directory.contract import Person, Presence
from plugins.directory.models import Employee, folded

LEAST_LETTERS = 3


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
        """`ordered` as by `in_order`; `in_since`: who has said that they are in, and when."""
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
        """By their word of today: nobody is shown as in for what was true yesterday, or because nobody has asked."""
        since = self._in_since.get(employee.id)
        return since is not None and since.astimezone(self._zone).date() == now().astimezone(self._zone).date()

    def hosts(self, text: str, limit: int) -> list[Person]:
        """Those who can be visited and of whose name each word of `text` begins a word."""
        wanted = folded(text)
        if sum(map(len, wanted)) < LEAST_LETTERS:
            return []
        found: list[Person] = []
        for employee in self._employees.values():
            if _begins(wanted, employee.words) and self._can_be_visited(employee):
                found.append(employee.public)
                if len(found) == limit:
                    break
        return found

    def is_canary(self, text: str) -> bool:
        """Whether the search finds the made-up name, which nobody looks for who has come to visit somebody."""
        wanted = folded(text)
        return sum(map(len, wanted)) >= LEAST_LETTERS and _begins(wanted, self._canary)

    def canary_is_alike(self) -> bool:
        """Whether somebody's name begins as it does: their visitors would be taken for one who goes through names."""
        beginnings = {word[:LEAST_LETTERS] for word in self._canary}
        return any(word[:LEAST_LETTERS] in beginnings for one in self for word in one.words)

    def host(self, person_id: str) -> Person | None:
        """Also by their old id: a visit may have waited in a kiosk since then, and is not lost."""
        employee = self._employees.get(self._ids.current_id(person_id))
        return employee.public if employee and self._can_be_visited(employee) else None

    def search(self, text: str) -> list[Employee]:
        """For employees: name, unit, title and tasks; all of them for an empty text."""
        wanted = folded(text)
        return [employee for employee in self._employees.values() if _begins(wanted, employee.all_words)]

    def board(self) -> list[Presence]:
        """People of the units that the configuration names, in its order; protected units never."""
        return [
            Presence(employee.public, self.is_in(employee))
            for unit in self._settings.board_units
            for employee in self._employees.values()
            if employee.unit == unit and not self._settings.is_protected(unit)
        ]

    def _can_be_visited(self, employee: Employee) -> bool:
        return not self._settings.is_protected(employee.unit) and employee.id not in self._no_visits


def in_order(employees: Iterable[Employee]) -> dict[str, Employee]:
    """By name. For ten thousand it takes some 60 ms: call it in a thread."""
    ordered = {one.id: one for one in sorted(employees, key=lambda one: (one.words, one.id))}
    for employee in ordered.values():
        _ = employee.public, employee.all_words  # worked out once, and here
    return ordered


def _begins(wanted: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return all(any(word.startswith(start) for word in words) for start in wanted)
