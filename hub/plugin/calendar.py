"""The site's calendar, `context.calendar`."""

from hub.calendar.device_hours import other_days, week_of
from hub.calendar.opening import Calendar, names
from hub.configuration.opening_hours import Span

__all__ = [
    "Calendar",
    "Span",
    "names",
    "other_days",
    "week_of",
]
