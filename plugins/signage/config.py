"""Opening hours."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from devices.contract.screen import OpeningDay
from hub.plugin import N_, PluginSettings

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _span(text: str) -> str:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text)
    if found is None or text[:5] >= text[6:]:
        raise ValueError('is no span of time; "09:00-15:30" is one')
    return text


Span = Annotated[str, AfterValidator(_span)]


class Settings(PluginSettings):
    hours: dict[Weekday, list[Span]] = Field(default_factory=dict, description=N_("a day that is not named is closed"))

    def opening_days(self) -> list[OpeningDay]:
        return [
            OpeningDay(weekday=number, spans=[(span[:5], span[6:]) for span in self.hours.get(day, [])])
            for number, day in enumerate(WEEKDAYS)
        ]
