"""When the house is open, as kiosks and screens get it: the week, and the dates to come on which other hours hold.

They say "open now" by themselves, by the site's clock, also while the hub is away.
"""

from datetime import date

from pydantic import Field

from devices.contract.payload import Payload, Translated

MAX_OTHER_DAYS = 60


class OpeningDay(Payload):
    """One weekday: 0 is Monday. No spans: closed. A span is ("09:00", "15:30") by the site's clock."""

    weekday: int = Field(ge=0, le=6)
    spans: list[tuple[str, str]] = Field(default_factory=list)


class OtherDay(Payload):
    """A date on which other hours hold than that weekday's. No spans: closed."""

    on: date
    spans: list[tuple[str, str]] = Field(default_factory=list)
    name: Translated | None = Field(default=None, description="of the public holiday that it is")
