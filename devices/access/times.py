"""When something holds: weekly spans, public holidays, and exceptions for single dates. Pure.

All times are the wall clock of the site's time zone: 08:00 is 08:00 in summer and in winter. In the hour that the clock
is turned back over, a span holds both times; a span within the hour that is skipped does not happen.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from devices.contract.payload import Payload

WRITTEN_OUT = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _written_out(value: object) -> object:
    """Pydantic alone would take a number, as seconds since 1970."""
    if isinstance(value, str) and WRITTEN_OUT.fullmatch(value):
        return date.fromisoformat(value)
    if not isinstance(value, date):
        raise ValueError("is no date, such as 2026-12-24")  # noqa: TRY004 (what pydantic reads)
    return value


Day = Annotated[date, BeforeValidator(_written_out)]
DAY_MINUTES = 24 * 60
MAX_WEEKLY, MAX_OTHER_DAYS, MAX_HOURS_A_DAY = 50, 400, 10
"""More than somebody can read; a list must fit into a message."""
Minute = Annotated[int, Field(ge=0, le=DAY_MINUTES)]
"""Of the day; 1440 is its end."""
Weekday = Annotated[int, Field(ge=1, le=7)]
"""Monday is 1 (ISO 8601)."""


class Hours(Payload):
    """From `start` until `end`, which is not part of it; past midnight when `end` is not after `start`."""

    start: Minute
    end: Minute

    def parts(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """What falls on the day itself, and what on the next one."""
        if self.end > self.start:
            return (self.start, self.end), (0, 0)
        return (self.start, DAY_MINUTES), (0, self.end)


def _may_repeat(schema: dict[str, Any]) -> None:
    """The same day twice is that day: pydantic takes it, and says in the schema that it does not."""
    schema.pop("uniqueItems", None)


class Weekly(Hours):
    """The same hours on some days of each week."""

    days: frozenset[Weekday] = Field(min_length=1, json_schema_extra=_may_repeat)


class OtherDay(Payload):
    """One date on which other hours hold than the week's; none: not at all."""

    on: Day
    hours: tuple[Hours, ...] = Field(default=(), max_length=MAX_HOURS_A_DAY)


class Times(Payload):
    """Without any weekly span it holds always, but for holidays and exceptions."""

    weekly: tuple[Weekly, ...] = Field(default=(), max_length=MAX_WEEKLY)
    on_holidays: Literal["as_usual", "never"] = "as_usual"
    exceptions: tuple[OtherDay, ...] = Field(default=(), max_length=MAX_OTHER_DAYS)
    first: Day | None = Field(default=None, description="the first day")
    last: Day | None = Field(default=None, description="the last day, included")

    @model_validator(mode="after")
    def _in_order(self) -> "Times":
        if self.first and self.last and self.last < self.first:
            raise ValueError("the last day is before the first")
        return self

    @property
    def unclear(self) -> Hours | None:
        """Hours with start == end, which are ambiguous; in stored times they mean the whole day."""
        spans = (*self.weekly, *(hours for exception in self.exceptions for hours in exception.hours))
        return next((hours for hours in spans if hours.start == hours.end), None)

    @property
    def are_always(self) -> bool:
        """Whatever day and hour it is."""
        is_bound = self.weekly or self.exceptions or self.first or self.last
        return not is_bound and self.on_holidays == "as_usual"

    def hold(self, local: datetime, holidays: frozenset[date]) -> bool:
        """Whether they hold at this local time."""
        minute, today = local.hour * 60 + local.minute, local.date()
        yesterday = today - timedelta(days=1)
        return any(start <= minute < end for start, end in self._of_day(today, holidays)) or any(
            start <= minute < end for start, end in self._past_midnight(yesterday, holidays)
        )

    def _of_day(self, day: date, holidays: frozenset[date]) -> Iterable[tuple[int, int]]:
        return (hours.parts()[0] for hours in self._hours(day, holidays))

    def _past_midnight(self, day: date, holidays: frozenset[date]) -> Iterable[tuple[int, int]]:
        """The parts of this day's hours that fall on the next day."""
        return (hours.parts()[1] for hours in self._hours(day, holidays))

    def _hours(self, day: date, holidays: frozenset[date]) -> Iterable[Hours]:
        if (self.first and day < self.first) or (self.last and day > self.last):
            return ()
        for exception in self.exceptions:
            if exception.on == day:
                return exception.hours
        if day in holidays and self.on_holidays == "never":
            return ()
        if not self.weekly:
            return (ALL_DAY,)
        return (hours for hours in self.weekly if day.isoweekday() in hours.days)


ALL_DAY = Hours(start=0, end=DAY_MINUTES)
