"""Doors, commands, rules and credentials as the service and the pages know them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from devices.access.deciding import Reason
from devices.access.lists import Opening, Ref, WithoutClock
from devices.access.times import Times
from devices.contract.door import MAX_PULSE_MS, Contact, Lock, Mode, Power, Verb
from devices.contract.payload import Id, clean

Severity = Literal["warning", "grave"]
Result = Literal["done", "refused", "unknown"]
MAX_OFFLINE_HOURS = 168


@dataclass(frozen=True)
class Order:
    """What a door shall do, and the fields that its verb needs (devices.contract.door.Command)."""

    verb: Verb
    pulse_ms: int | None = None
    hold_seconds: int | None = None
    why: Reason | None = None


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
    hold_seconds: int | None = None
    why: str | None = None
    credential: str | None = None
    detail: dict[str, Any] | None = None
    """Of an access request: reader, side, rule, duress."""


@dataclass(frozen=True)
class Report:
    """An event that a door has reported."""

    door: str
    id: str
    kind: str
    reason: str | None
    count: int
    happened_at: datetime
    received_at: datetime
    credential: str | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True)
class DoorState:
    """`lock` is unknown without a confirmation younger than 30 s (I9)."""

    lock: Lock
    contact: Contact
    age_seconds: float | None
    mode: Mode = "schedule"
    hold_seconds: int = 0
    lockdown: bool = False
    power: Power | None = None
    list_version: int = 0
    list_until: datetime | None = None
    inputs: tuple[str, ...] = ()
    knows_time: bool = True


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


Word = Annotated[str, BeforeValidator(clean), StringConstraints(min_length=1, max_length=400)]
"""A unit, a group's DN, a zone."""


class Who(_Stored):
    """The people, units, groups of the directory and single credentials that a rule is for."""

    everybody: bool = Field(default=False, description="all employees")
    units: tuple[Word, ...] = ()
    groups: tuple[Word, ...] = ()
    people: tuple[Word, ...] = Field(default=(), description="employees' ids")
    credentials: tuple[Ref, ...] = ()


class Where(_Stored):
    """The doors of a rule: all, those in some zones, or single ones."""

    everywhere: bool = False
    zones: tuple[Word, ...] = ()
    doors: tuple[Id, ...] = ()

    def has(self, door: str, zone: str) -> bool:
        return self.everywhere or door in self.doors or (bool(zone) and zone in self.zones)


def _clear(times: Times) -> Times:
    if times.unclear is not None:
        raise ValueError("hours begin when they end: the whole day is 0 to 1440")
    return times


ClearTimes = Annotated[Times, AfterValidator(_clear)]
"""Times from outside, in which no span may begin when it ends."""


class AccessRule(_Stored):
    """Who may pass which doors when."""

    id: int = 0
    name: Annotated[str, BeforeValidator(clean), StringConstraints(min_length=1, max_length=80)]
    who: Who = Who()
    where: Where = Where()
    times: Times = Times()
    asks: Literal["one", "card_and_pin"] = "one"


class DoorSettings(_Stored):
    """One door's habits, as a caretaker sets them."""

    opening: Opening | None = None
    pulse_ms: int | None = Field(default=None, gt=0, le=MAX_PULSE_MS, description="none: as the configuration says")
    held_open_seconds: int | None = Field(
        default=60, ge=5, le=86_400, description="open longer is an alarm; none: never"
    )
    passback: Literal["off", "soft", "hard"] = "off"
    without_clock: WithoutClock = Field(
        default="refuse", description="alone and without a trustworthy time: nobody, or cards without limits in time"
    )
    leads_to: Annotated[str, BeforeValidator(clean), StringConstraints(max_length=100)] = Field(
        default="", description="the zone behind it, for anti-passback"
    )
    interlock_with: Id | None = Field(default=None, description="the other door of a sluice")
    offline_hours: int = Field(default=36, ge=0, le=MAX_OFFLINE_HOURS)
    tells_grants: bool = Field(default=True, description="false: by credential only denials and alarms are logged")


@dataclass(frozen=True)
class Credential:
    """A card, a PIN or a duress PIN; only its keyed hash is stored."""

    ref: str
    kind: Literal["card", "pin", "duress"]
    fingerprint: str
    person: str | None
    label: str
    opens_alone: bool
    in_lockdown: bool
    first: datetime | None
    until: datetime | None
    made_at: datetime
    ended_at: datetime | None = None
    ended_why: str | None = None


class HubKeyError(ValueError):
    """A key of the hub cannot be changed so; the text says why."""


@dataclass(frozen=True)
class HubKey:
    """One of the hub's keys. After `retired_at` it signs nothing new; doors trust it until `ended_at`."""

    id: str
    number: int
    verify_key: str
    made_at: datetime
    made_by: str
    retired_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_made(self) -> bool:
        """False while the key is only intended."""
        return bool(self.verify_key)


@dataclass(frozen=True)
class VisitPass:
    """A QR code that lets a visitor in. `label` is for the issuer only and not part of the code.

    `key`: which of the hub's keys signed it.
    """

    id: str
    label: str
    doors: tuple[str, ...]
    first: datetime
    until: datetime
    once: bool
    made_at: datetime
    made_by: str
    key: str
    used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Revoked or used up."""
        return self.revoked_at is not None or (self.once and self.used_at is not None)


@dataclass(frozen=True)
class Lockdown:
    """`zone` "" is the whole site."""

    zone: str
    since: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class Alarm:
    """`over_at`: when the cause ended by itself."""

    id: int
    door: str
    kind: str
    severity: Severity
    count: int
    first_at: datetime
    last_at: datetime
    over_at: datetime | None
    told_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None


class UnknownDoorError(LookupError):
    """There is no such door."""


class TooManyCommandsError(Exception):
    """A door has been commanded too often within a minute."""


class UnknownRuleError(LookupError):
    """There is no such rule."""


class UnknownPassError(LookupError):
    """There is no such pass, or it has run out or been revoked."""


class UnknownCredentialError(LookupError):
    """There is no such credential, or it has ended."""


class KnownCredentialError(ValueError):
    """Somebody has this card already."""
