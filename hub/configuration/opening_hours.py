"""The section `calendar` of the configuration."""

import re
from collections.abc import Iterable
from datetime import date, time
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from devices.contract.payload import Id

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Span = tuple[time, time]
"""Start, and end, which is excluded."""
CLOCK = r"([01]\d|2[0-3]):([0-5]\d)"
MAX_SPANS = 6
"""In one day."""
SPAN = re.compile(rf"{CLOCK}\s*[-\u2013]\s*{CLOCK}", re.ASCII)


def span_of(text: str) -> Span:
    """`09:00-15:30`. Raises ValueError."""
    match = SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError('is no span of time; "09:00-15:30" is one')
    opens, closes = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if opens >= closes:
        raise ValueError(f"{text} ends before it begins")
    return opens, closes


def spans_of(texts: list[str]) -> tuple[Span, ...]:
    """In the order of the day. Raises ValueError, also for spans that overlap."""
    spans = sorted(span_of(text) for text in texts)
    for (_, closes), (opens, _) in pairwise(spans):
        if opens < closes:
            raise ValueError(f"two spans overlap at {opens:%H:%M}")
    return tuple(spans)


def as_texts(spans: Iterable[Span]) -> list[str]:
    """The inverse of `spans_of`."""
    return [f"{opens:%H:%M}-{closes:%H:%M}" for opens, closes in spans]


def _spans(texts: list[str]) -> list[str]:
    spans_of(texts)
    return texts


def _date(value: object) -> object:
    """YAML parses a bare date itself; pydantic alone would also accept a number, as seconds since 1970."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("is no date, such as 2026-12-24") from None
    if not isinstance(value, date):
        raise ValueError("is no date, such as 2026-12-24")  # noqa: TRY004 (what pydantic reads)
    return value


def _country(code: str) -> str:
    """Importing the package takes a quarter of a second, so only another country than Norway is checked with it."""
    if code not in ("", "NO"):
        from holidays import list_supported_countries  # noqa: PLC0415

        if code not in list_supported_countries():
            raise ValueError("is no country whose public holidays are known; NO is Norway, and empty is none")
    return code


Spans = Annotated[list[str], AfterValidator(_spans)]
Day = Annotated[date, BeforeValidator(_date)]


class Hours(BaseModel):
    """The hours of a week, and the days on which others hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hours: dict[Weekday, Spans] = Field(default_factory=dict, description="a day that is not named is closed")
    exceptions: dict[Day, Spans] = Field(
        default_factory=dict, description="other hours on single days; an empty list: closed"
    )


class CalendarSettings(Hours):
    """The site's own hours, and those of services beside it."""

    holidays: Annotated[str, AfterValidator(_country)] = Field(
        default="NO", description="closed on this country's public holidays (ISO 3166); empty: on none"
    )
    services: dict[Id, Hours] = Field(default_factory=dict, description="hours of their own, such as the telephone's")
