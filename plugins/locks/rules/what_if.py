"""What-if calculations: who could pass a door at some time, and what a changed rule would change."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from devices.access.deciding import NOTHING_KNOWN, Decision, Fingerprints, decide
from devices.access.lists import DoorAccess, Roll
from devices.access.times import Times
from plugins.locks.models import AccessRule
from plugins.locks.rules import compiling
from plugins.locks.rules.compiling import RuleBook

STEP_MINUTES = 15
DAYS = 7


@dataclass(frozen=True)
class Foreseen:
    """The decision for one credential at one door."""

    ref: str
    decision: Decision

    @property
    def needs_pin(self) -> bool:
        return self.decision.reason == "pin_wanted"

    @property
    def passes(self) -> bool:
        return self.decision.is_granted or self.needs_pin


@dataclass(frozen=True)
class Change:
    """Hours of the coming week that a credential may pass a door, before and after."""

    ref: str
    door: str
    before: float
    after: float


def foresee(access: DoorAccess, roll: Roll, at: datetime, refs: Collection[str] | None = None) -> list[Foreseen]:
    """The decision of a door for each credential of the roll (or those in `refs`) at this time.

    Also for a time before the list was made, which a door would take for a wrong clock.
    """
    found = []
    access = access.model_copy(update={"made_at": min(access.made_at, at)})
    for fingerprint, credential in roll.items():
        if refs is not None and credential.ref not in refs:
            continue
        as_card = decide(access, roll, Fingerprints(card=fingerprint), at, NOTHING_KNOWN)
        found.append(Foreseen(credential.ref, as_card))
    return found


def with_rule(book: RuleBook, rule: AccessRule) -> RuleBook:
    """The rule book with this rule added (id 0) or changed."""
    others = [other for other in book.rules if other.id != rule.id or not rule.id]
    number = rule.id or max((rule.id for rule in book.rules), default=0) + 1
    return replace(book, rules=[*others, rule.model_copy(update={"id": number})])


def without_rule(book: RuleBook, number: int) -> RuleBook:
    return replace(book, rules=[rule for rule in book.rules if rule.id != number])


def changes(
    before: RuleBook, after: RuleBook, zones: Mapping[str, str], monday: datetime, holidays: Collection[date]
) -> list[Change]:
    """Differences in the seven days from `monday` (aware, local) for every credential at every door (id → zone).

    In steps of a quarter of an hour. The credentials' own validity and lockdowns are not considered.
    """
    weeks = (_Week(before, zones, monday, holidays), _Week(after, zones, monday, holidays))
    rolls = (compiling.roll(before), compiling.roll(after))
    found = []
    for fingerprint, was in rolls[0].items():
        becomes = rolls[1][fingerprint]
        for door in zones:
            hours = [week.hours(door, credential.rules) for week, credential in zip(weeks, (was, becomes), strict=True)]
            if hours[0] != hours[1]:
                found.append(Change(was.ref, door, hours[0][1], hours[1][1]))
    return found


class _Week:
    """The quarters of an hour in a week in which each rule holds, as a bit mask."""

    def __init__(self, book: RuleBook, zones: Mapping[str, str], monday: datetime, holidays: Collection[date]) -> None:
        self._bits = {rule.id: _bits(rule.times, monday, frozenset(holidays)) for rule in book.rules}
        self._at = {
            door: frozenset(rule.id for rule in book.rules if rule.where.has(door, zone))
            for door, zone in zones.items()
        }
        self._known: dict[frozenset[int], tuple[int, float]] = {}

    def hours(self, door: str, rules: frozenset[int]) -> tuple[int, float]:
        """The bit mask of these rules at this door, and its length in hours."""
        mine = rules & self._at[door]
        if mine not in self._known:
            bits = 0
            for rule in mine:
                bits |= self._bits[rule]
            self._known[mine] = (bits, bits.bit_count() * STEP_MINUTES / 60)
        return self._known[mine]


def _bits(times: Times, monday: datetime, holidays: frozenset[date]) -> int:
    bits = 0
    for n, at in enumerate(_quarters(monday)):
        if times.hold(at, holidays):
            bits |= 1 << n
    return bits


def _quarters(monday: datetime) -> Iterable[datetime]:
    """By the wall clock, so that each week has the same number of quarters."""
    zone = monday.tzinfo or ZoneInfo("UTC")
    for day in range(DAYS):
        on = monday.date() + timedelta(days=day)
        for minute in range(0, 24 * 60, STEP_MINUTES):
            yield datetime.combine(on, time(minute // 60, minute % 60), zone)
