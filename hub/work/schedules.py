"""When a job that comes again and again is due."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

MIN_INTERVAL = timedelta(seconds=10)
WEEK = frozenset(range(7))


@dataclass(frozen=True)
class Every:
    """So long after the end of one run the next one begins; at least 10 s."""

    interval: timedelta

    def __post_init__(self) -> None:
        if self.interval < MIN_INTERVAL:
            raise ValueError(f"a job runs every {MIN_INTERVAL.seconds} s at most, this one: {self.interval}")

    def after(self, last: datetime, zone: ZoneInfo) -> datetime:
        """The first time after `last`, both aware."""
        del zone
        return last + self.interval


@dataclass(frozen=True)
class Daily:
    """At these times by the site's clock, on these days (0 is Monday).

    A time that the clock skips in spring is an hour later; of one that comes twice in autumn it is the first.
    """

    at: tuple[time, ...]
    days: frozenset[int] = WEEK

    def __post_init__(self) -> None:
        if not self.at or not self.days or not self.days <= WEEK:
            raise ValueError("a daily job needs a time, and days from 0 (Monday) to 6")

    def after(self, last: datetime, zone: ZoneInfo) -> datetime:
        """The first time after `last`, both aware."""
        day = last.astimezone(zone).date()
        while True:
            if day.weekday() in self.days:
                for clock in sorted(self.at):
                    due = datetime.combine(day, clock, zone).astimezone(UTC)
                    if due > last:
                        return due
            day += timedelta(days=1)


Schedule = Every | Daily
