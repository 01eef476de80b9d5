"""Doors and commands as the service and the pages know them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from devices.contract.door import Contact, Lock

Result = Literal["done", "refused", "unknown"]


@dataclass(frozen=True)
class Command:
    id: str
    door: str
    verb: str
    pulse_ms: int
    actor: str
    reason: str
    audit: int
    asked_at: datetime
    outcome: Result | None
    outcome_reason: str | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Report:
    """An event that the door has told of."""

    door: str
    id: str
    kind: str
    reason: str | None
    count: int
    happened_at: datetime
    received_at: datetime


@dataclass(frozen=True)
class DoorState:
    """`lock` is unknown without a confirmation younger than 30 s (I9)."""

    lock: Lock
    contact: Contact
    age_seconds: float | None


class UnknownDoorError(LookupError):
    """There is no such door."""


class TooManyCommandsError(Exception):
    """A door has been commanded too often within a minute."""
