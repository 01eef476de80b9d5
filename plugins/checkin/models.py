"""A visit: one stay of one visitor."""

from dataclasses import dataclass
from datetime import datetime

from plugins.checkin.timing import Timing
from plugins.notify.contract import Answer


@dataclass(frozen=True)
class Visit:
    """Personal fields are None once the visit has been forgotten."""

    id: str
    kiosk: str
    host: str | None
    host_name: str | None
    host_unit: str | None
    visitor: str | None
    company: str | None
    language: str
    number: str | None
    arrived_at: datetime
    """By the kiosk's clock: only ever shown."""
    registered_at: datetime
    """By the hub's clock: what everything goes by."""
    told: bool | None
    """None: not known yet; False: no channel reaches the host, the desk tells them."""
    answer: Answer | None
    answered_at: datetime | None
    left_at: datetime | None
    left_by: str | None
    timing: Timing | None
    answer_seen: bool | None
    """None: the kiosk has not said; False: nobody waited on its screen any more."""

    @property
    def is_for_the_desk(self) -> bool:
        """The host has not been told, and has not answered."""
        return self.told is False and self.answer is None

    @property
    def is_inside(self) -> bool:
        return self.left_at is None


class UnknownHostError(LookupError):
    """Nobody of that id can be visited."""


class AnothersVisitError(ValueError):
    """Another kiosk has registered a visit of this id."""


class UnknownNumberError(LookupError):
    """No visitor inside has that number."""
