"""A visit: one stay of one visitor."""

from dataclasses import dataclass
from datetime import datetime

from plugins.checkin.timing import Timing
from plugins.notify.contract import Answer


@dataclass(frozen=True, slots=True)
class NewVisit:
    """A visitor who registers at a kiosk, or is registered at the desk or by a program."""

    id: str
    """Made by whoever registers; the same id twice is one visit."""
    host: str
    visitor: str
    company: str | None
    language: str
    arrived_at: datetime
    """By the clock of whoever registers."""
    by: str
    """The kiosk's id, or the actor for the audit log."""
    is_at_kiosk: bool = False

    @property
    def kiosk(self) -> str | None:
        return self.by if self.is_at_kiosk else None


@dataclass(frozen=True)
class Visit:
    """Personal fields are None once the visit has been forgotten."""

    id: str
    kiosk: str | None
    """None: registered at the desk, or by a program."""
    host: str | None
    host_name: str | None
    host_unit: str | None
    visitor: str | None
    company: str | None
    language: str
    number: str | None
    arrived_at: datetime
    """By the clock of whoever registered it: for display only."""
    registered_at: datetime
    """By the hub's clock: used for all decisions."""
    told: bool | None
    """Whether the host was notified. None: not known yet; False: no channel reaches the host, the desk calls."""
    answer: Answer | None
    answered_at: datetime | None
    left_at: datetime | None
    left_by: str | None
    timing: Timing | None
    answer_seen: bool | None
    """None: not acknowledged by the kiosk; False: nobody waited on its screen any more."""

    @property
    def is_for_the_desk(self) -> bool:
        """The host was not notified and has not answered."""
        return self.told is False and self.answer is None

    @property
    def is_inside(self) -> bool:
        return self.left_at is None


class UnknownHostError(LookupError):
    """Nobody of that id can be visited."""


class VisitIdTakenError(ValueError):
    """A visit of this id was registered elsewhere."""


class TooManyVisitsError(Exception):
    """More than one kiosk, or one person, may register at once."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(wait_seconds)
        self.wait_seconds = wait_seconds


class UnknownNumberError(LookupError):
    """No visitor inside has that number."""
