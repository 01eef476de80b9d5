"""Weekly hours, holidays and exceptions as form fields, and parsed into Times again."""

from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any, TypeVar

from devices.access.times import (
    DAY_MINUTES,
    MAX_HOURS_A_DAY,
    MAX_OTHER_DAYS,
    MAX_WEEKLY,
    Hours,
    OtherDay,
    Times,
    Weekly,
)
from hub.plugin import N_, MistakeError
from hub.plugin.api import FIRST_YEAR, LAST_YEAR
from hub.plugin.web import Form, number_in

SPARE_ROWS = 2
"""Empty rows at the end of the form."""
MIDNIGHT = "24:00"
D = TypeVar("D", bound=date)
WEEK = frozenset("1234567")
MAX_TOLD = 20
TIMES = Form(
    must=("first_day", "last_day"),
    may=("never_on_holidays",),
    rows=(("start", "end"), ("on", "from", "to")),
    many_in_rows={"days": "start"},
)
"""The part of a form that templates/times_form.html makes."""


@dataclass(frozen=True)
class WeeklyRow:
    days: frozenset[int] = frozenset()
    start: str = ""
    end: str = ""


@dataclass(frozen=True)
class OtherRow:
    """One date; without hours it is closed, or nobody passes, that day."""

    on: str = ""
    start: str = ""
    end: str = ""


@dataclass(frozen=True)
class TimesForm:
    weekly: tuple[WeeklyRow, ...]
    others: tuple[OtherRow, ...]
    never_on_holidays: bool
    first: str
    last: str


def times_as_form(times: Times | None) -> TimesForm:
    """The fields of the form for stored times, with empty rows at the end."""
    kept = times or Times(on_holidays="never")
    weekly = [WeeklyRow(weekly.days, clock(weekly.start), clock(weekly.end)) for weekly in kept.weekly]
    others = [
        OtherRow(exception.on.isoformat(), *((clock(hours.start), clock(hours.end)) if hours else ("", "")))
        for exception in kept.exceptions
        for hours in (exception.hours or (None,))
    ]
    return TimesForm(
        (*weekly, *(WeeklyRow() for _ in range(SPARE_ROWS))),
        (*others, *(OtherRow() for _ in range(SPARE_ROWS))),
        kept.on_holidays == "never",
        kept.first.isoformat() if kept.first else "",
        kept.last.isoformat() if kept.last else "",
    )


def typed_form(sent: Any) -> TimesForm:
    """The fields as typed, to show the form again after a mistake."""
    weekly = [
        WeeklyRow(_days_of(sent, n), str(sent.get(f"start-{n}", "")), str(sent.get(f"end-{n}", "")))
        for n in _rows(sent, "start")
    ]
    others = [OtherRow(*(str(sent.get(f"{name}-{n}", "")) for name in ("on", "from", "to"))) for n in _rows(sent, "on")]
    return TimesForm(
        tuple(weekly),
        tuple(others),
        "never_on_holidays" in sent,
        str(sent.get("first_day", "")),
        str(sent.get("last_day", "")),
    )


def parse_times(sent: Any) -> Times:
    """From a form with `days-N`, `start-N`, `end-N`, `on-N`, `from-N`, `to-N`. Raises MistakeError."""
    weekly = []
    for n in _rows(sent, "start"):
        start, end = str(sent.get(f"start-{n}", "")), str(sent.get(f"end-{n}", ""))
        days = sent.getall(f"days-{n}", [])
        if not (start or end or days):
            continue
        if not days:
            raise MistakeError(N_("%(hours)s: choose on which days."), hours=f"{start}-{end}")
        weekly.append(Weekly(days=frozenset(_day(day) for day in days), **_span(start, end)))
    if len(weekly) > MAX_WEEKLY:
        raise MistakeError(N_("At most %(count)s rows of hours: make a second rule."), count=MAX_WEEKLY)
    first, last = (parse_day(str(sent.get(name, ""))) for name in ("first_day", "last_day"))
    if first and last and last < first:
        raise MistakeError(N_("The last day is before the first."))
    return Times(
        weekly=tuple(weekly),
        on_holidays="never" if "never_on_holidays" in sent else "as_usual",
        exceptions=_exceptions(sent),
        first=first,
        last=last,
    )


def clock(of_day: int) -> str:
    """As a browser writes a time: the end of the day is 00:00."""
    of_day %= DAY_MINUTES
    return f"{of_day // 60:02}:{of_day % 60:02}"


def minute(text: str) -> int:
    """`08:30` → 510; the end of the day is 24:00, or 00:00 as a browser writes it. Raises MistakeError."""
    before, _, after = text.partition(":")
    hours, minutes = number_in(before, DAY_MINUTES // 60), number_in(after, 59)
    if hours is None or minutes is None or hours * 60 + minutes > DAY_MINUTES:
        raise MistakeError(N_("%(text)s is no time of day, such as 08:30."), text=text[:MAX_TOLD])
    return hours * 60 + minutes


def _exceptions(sent: Any) -> tuple[OtherDay, ...]:
    by_date: dict[date, list[Hours]] = {}
    for n in _rows(sent, "on"):
        on = parse_day(str(sent.get(f"on-{n}", "")))
        if on is None:
            continue
        hours = by_date.setdefault(on, [])
        start, end = str(sent.get(f"from-{n}", "")), str(sent.get(f"to-{n}", ""))
        if start or end:
            hours.append(Hours(**_span(start, end)))
        if len(hours) > MAX_HOURS_A_DAY or len(by_date) > MAX_OTHER_DAYS:
            raise MistakeError(
                N_("At most %(hours)s rows for one date, and %(days)s dates."),
                hours=MAX_HOURS_A_DAY,
                days=MAX_OTHER_DAYS,
            )
    return tuple(OtherDay(on=on, hours=tuple(hours)) for on, hours in sorted(by_date.items()))


def _rows(sent: Any, name: str) -> list[int]:
    rows = (key.removeprefix(f"{name}-") for key in sent if key.startswith(f"{name}-"))
    return sorted({number for row in rows if (number := number_in(row)) is not None})


def _span(start: str, end: str) -> dict[str, int]:
    """Start and end in minutes; an empty start or end is that of the day. Raises MistakeError."""
    found = {"start": minute(start or "00:00"), "end": minute(end or MIDNIGHT)}
    if found["start"] == found["end"] != 0:
        raise MistakeError(
            N_("%(hours)s: it begins when it ends. The whole day is 00:00-00:00."), hours=f"{start}-{end}"
        )
    if found["start"] == found["end"]:
        found["end"] = DAY_MINUTES  # 00:00-00:00
    return found


def _days_of(sent: Any, row: int) -> frozenset[int]:
    return frozenset(int(day) for day in sent.getall(f"days-{row}", []) if day in WEEK)


def _day(text: str) -> int:
    if text not in WEEK:
        raise MistakeError(N_("%(text)s is no day of the week."), text=text)
    return int(text)


def parse_day(text: str) -> date | None:
    """Parse a date as a browser writes it; None for an empty text. Raises MistakeError."""
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise MistakeError(N_("%(text)s is no date."), text=text[:MAX_TOLD]) from None
    return _plausible(found, text)


def parse_moment(text: str, zone: tzinfo) -> datetime:
    """Parse a local time as a browser writes it. Raises MistakeError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise MistakeError(N_("%(text)s is no date."), text=text[:MAX_TOLD] or "?") from None
    return _plausible(found, text).replace(tzinfo=zone)


def _plausible(found: D, text: str) -> D:
    """Raises MistakeError for an implausible year."""
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise MistakeError(N_("%(text)s is no date."), text=text[:MAX_TOLD])
    return found
