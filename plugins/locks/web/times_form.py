"""Hours of the week, holidays and exceptions in a form, and made into Times again."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from devices.access.times import DAY_MINUTES, Hours, OtherDay, Times, Weekly

SPARE_ROWS = 2
"""Empty rows to write more in."""
MIDNIGHT = "24:00"


class TimesError(ValueError):
    """Something in the form is no time, or makes no sense; the text says what is expected."""


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
class ShownTimes:
    weekly: tuple[WeeklyRow, ...]
    others: tuple[OtherRow, ...]
    never_on_holidays: bool
    first: str
    last: str


def shown_times(times: Times | None) -> ShownTimes:
    """As the form shows them, with empty rows for more."""
    kept = times or Times(on_holidays="never")
    weekly = [WeeklyRow(one.days, clock(one.start), clock(one.end)) for one in kept.weekly]
    others = [
        OtherRow(one.on.isoformat(), *((clock(hours.start), clock(hours.end)) if hours else ("", "")))
        for one in kept.exceptions
        for hours in (one.hours or (None,))
    ]
    return ShownTimes(
        (*weekly, *(WeeklyRow() for _ in range(SPARE_ROWS))),
        (*others, *(OtherRow() for _ in range(SPARE_ROWS))),
        kept.on_holidays == "never",
        kept.first.isoformat() if kept.first else "",
        kept.last.isoformat() if kept.last else "",
    )


def times_in(sent: Any) -> Times:
    """From a form with `days-N`, `start-N`, `end-N`, `on-N`, `from-N`, `to-N`. Raises TimesError."""
    weekly = []
    for n in _rows(sent, "start"):
        start, end = str(sent.get(f"start-{n}", "")), str(sent.get(f"end-{n}", ""))
        days = sent.getall(f"days-{n}", [])
        if not (start or end or days):
            continue
        if not days:
            raise TimesError(f"{start}-{end}: on which days?")
        weekly.append(
            Weekly(
                days=frozenset(_day(day) for day in days), start=minute(start or "00:00"), end=minute(end or MIDNIGHT)
            )
        )
    return _made(
        weekly=tuple(weekly),
        on_holidays="never" if "never_on_holidays" in sent else "as_usual",
        exceptions=_exceptions(sent),
        first=day_in(str(sent.get("first_day", ""))),
        last=day_in(str(sent.get("last_day", ""))),
    )


def clock(of_day: int) -> str:
    """As a browser writes a time: the end of the day is 00:00."""
    of_day %= DAY_MINUTES
    return f"{of_day // 60:02}:{of_day % 60:02}"


def minute(text: str) -> int:
    """`08:30` → 510; the end of the day is 24:00, or 00:00 as a browser writes it. Raises TimesError."""
    hours, colon, minutes = text.partition(":")
    if not colon or not hours.isdecimal() or not minutes.isdecimal() or int(minutes) >= 60:  # noqa: PLR2004
        raise TimesError(f"{text or 'nothing'}: a time of day is written 08:30")
    found = int(hours) * 60 + int(minutes)
    if found > DAY_MINUTES:
        raise TimesError(f"{text}: a day has 24 hours")
    return found


def _exceptions(sent: Any) -> tuple[OtherDay, ...]:
    by_date: dict[date, list[Hours]] = {}
    for n in _rows(sent, "on"):
        on = day_in(str(sent.get(f"on-{n}", "")))
        if on is None:
            continue
        hours = by_date.setdefault(on, [])
        start, end = str(sent.get(f"from-{n}", "")), str(sent.get(f"to-{n}", ""))
        if start or end:
            hours.append(Hours(start=minute(start), end=minute(end)))
    return tuple(OtherDay(on=on, hours=tuple(hours)) for on, hours in sorted(by_date.items()))


def _rows(sent: Any, name: str) -> list[int]:
    rows = (key.removeprefix(f"{name}-") for key in sent if key.startswith(f"{name}-"))
    return sorted({int(row) for row in rows if row.isdecimal()})


def _day(text: str) -> int:
    if text not in "1234567" or len(text) != 1:
        raise TimesError(f"{text}: a day of the week is 1 (Monday) to 7")
    return int(text)


def day_in(text: str) -> date | None:
    """As a browser writes a date; None: there is none. Raises TimesError."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise TimesError(f"{text}: a date is written 2026-12-24") from None


def _made(**fields: Any) -> Times:
    try:
        return Times(**fields)
    except ValidationError as error:
        raise TimesError("; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())) from None
