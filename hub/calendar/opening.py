"""Whether the site, or a service, is open: one answer for all devices and every plugin."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.calendar.public_holidays import PublicHolidays
from hub.configuration.opening_hours import WEEKDAYS, CalendarSettings, Hours, Span, spans_of
from hub.language.translation import N_
from hub.store.store import now

SITE = ""
"""In place of a service's name: the site itself."""
LOOK_AHEAD = timedelta(days=400)

NAMES = (
    N_("New Year's Day"),
    N_("Maundy Thursday"),
    N_("Good Friday"),
    N_("Easter Sunday"),
    N_("Easter Monday"),
    N_("Labor Day"),
    N_("Ascension Day"),
    N_("Constitution Day"),
    N_("Pentecost"),
    N_("Pentecost Monday"),
    N_("Christmas Day"),
    N_("Second Day of Christmas"),
)
"""Norway's holidays in English, as in the package `holidays`, for the catalogues."""


class UnknownServiceError(LookupError):
    """The calendar has no service of this name."""


@dataclass(frozen=True)
class Opening:
    """Whether it is open at a moment."""

    is_open: bool
    until: datetime | None
    """When that changes; None if not within a year."""
    holiday: str | None = None
    """The day's public holiday in English, to be translated (`names`)."""


@dataclass(frozen=True)
class OtherDay:
    """A date with other hours than the week's."""

    on: date
    spans: tuple[Span, ...]
    holiday: str | None


class Calendar:
    """`exceptions`: set on the console, by service and date; they override the configuration."""

    def __init__(self, settings: CalendarSettings, zone: ZoneInfo) -> None:
        self.exceptions: Mapping[tuple[str, date], tuple[Span, ...]] = {}
        self._settings = settings
        self._zone = zone
        self._holidays = PublicHolidays(settings.holidays)

    async def prepare(self, folder: Path) -> None:
        """Have the holidays of the years to come at hand. Call it before the first question, and each day."""
        await self._holidays.prepare(self.date_at(now()), folder)

    @property
    def services(self) -> list[str]:
        """The services with hours of their own."""
        return sorted(self._settings.services)

    @property
    def has_hours(self) -> bool:
        """Whether any hours of the site are configured or set."""
        return bool(self._settings.hours or self._settings.exceptions or self.exceptions)

    def date_at(self, moment: datetime) -> date:
        """By the site's clock; `moment` is an aware time."""
        return moment.astimezone(self._zone).date()

    def holiday(self, day: date) -> str | None:
        """The public holiday's name in English, two joined by "; "; None if it is none."""
        return self._holidays.of(day.year).get(day)

    def holidays(self, *years: int) -> frozenset[date]:
        """Public holidays by law."""
        return frozenset(day for year in years for day in self._holidays.of(year))

    def week(self, service: str = SITE) -> list[tuple[Span, ...]]:
        """Monday's to Sunday's hours. Raises UnknownServiceError."""
        hours = self._hours(service).hours
        return [spans_of(hours.get(day, [])) for day in WEEKDAYS]

    def spans(self, day: date, service: str = SITE) -> tuple[Span, ...]:
        """The hours on that date: an exception's, else none on a holiday, else the weekday's.

        Raises UnknownServiceError.
        """
        hours = self._hours(service)
        if (chosen := self.exceptions.get((service, day))) is not None:
            return chosen
        if (written := hours.exceptions.get(day)) is not None:
            return spans_of(written)
        return () if self.holiday(day) else spans_of(hours.hours.get(WEEKDAYS[day.weekday()], []))

    def at(self, moment: datetime, service: str = SITE) -> Opening:
        """`moment` is an aware time. Raises UnknownServiceError."""
        local = moment.astimezone(self._zone)
        is_open = any(opens <= local.time() < closes for opens, closes in self.spans(local.date(), service))
        return Opening(is_open, self._change(local, service, is_open=is_open), self.holiday(local.date()))

    def other_days(self, first: date, service: str = SITE) -> Iterator[OtherDay]:
        """The dates from `first` on, for more than a year, with other hours than the week's."""
        week = self.week(service)
        for number in range(LOOK_AHEAD.days):
            day = first + timedelta(days=number)
            spans = self.spans(day, service)
            if spans != week[day.weekday()]:
                yield OtherDay(day, spans, self.holiday(day))

    def _hours(self, service: str) -> Hours:
        if service == SITE:
            return self._settings
        try:
            return self._settings.services[service]
        except KeyError:
            raise UnknownServiceError(service) from None

    def _change(self, local: datetime, service: str, *, is_open: bool) -> datetime | None:
        """The first time after `local` at which it closes, or opens."""
        for number in range(LOOK_AHEAD.days):
            day = local.date() + timedelta(days=number)
            for opens, closes in self.spans(day, service):
                at = self._at(day, closes if is_open else opens)
                if at > local:
                    return at
        return None

    def _at(self, day: date, clock: time) -> datetime:
        return datetime.combine(day, clock, self._zone)


def names(holiday: str) -> list[str]:
    """Two holidays may fall on one day: the 17th of May and Whit Monday do in 2027."""
    return holiday.split("; ")
