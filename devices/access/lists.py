"""The access list: what a door must know to decide by itself. The hub makes one for each door, signed and sealed.

On the wire its content is PREFIX and a libsodium sealed box, for the door's own key, of two zlib streams, one after
the other: the JSON of an AccessList without its credentials, and that of their Columns. Doors with the same rules have
the same second stream, which the hub packs once. The prefix keeps a signature over a list from ever being one over a
command.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nacl.exceptions import CryptoError
from nacl.public import SealedBox
from nacl.signing import SigningKey, VerifyKey
from pydantic import AfterValidator, AwareDatetime, Field, ValidationError, model_validator

from devices.access.credentials import FINGERPRINT_CHARACTERS
from devices.access.times import Times
from devices.contract.payload import Id, Payload

PREFIX = b"list\n"
MAX_BYTES = 8_000_000
"""Unpacked; ten thousand credentials are under one million."""

PACKING = 1
"""zlib's fastest level: hashes hardly compress, and 200 doors get their lists at once."""

RuleId = Annotated[int, Field(ge=1)]
Ref = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
"""A credential's pseudonym: what logs and messages call it. Whose it is, only the hub knows."""


WithoutClock = Literal["refuse", "cards_without_limits"]


class ListError(ValueError):
    """A list that is not for this door, or not readable."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("is no time zone such as Europe/Oslo") from None
    return name


class Rule(Payload):
    """Some may pass this door at these times. `asks`: the card (or PIN) alone, or a card and then its PIN."""

    id: RuleId
    times: Times = Times()
    asks: Literal["one", "card_and_pin"] = "one"


class Opening(Payload):
    """When the door stands unlocked for all; `after_arrival`: not before an employee has come that day."""

    times: Times
    after_arrival: bool = False


class DoorAccess(Payload):
    """A door's rules and habits, without the credentials."""

    door: Id
    version: int = Field(ge=1, description="grows with each list that the hub makes")
    made_at: AwareDatetime
    valid_until: AwareDatetime
    audit: int = Field(default=0, ge=0, description="the newest entry of the audit log that it knows of")
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "Europe/Oslo"
    holidays: frozenset[date] = frozenset()
    rules: tuple[Rule, ...] = ()
    opening: Opening | None = None
    lockdown: bool = Field(default=False, description="credentials are refused but for named ones; never the way out")
    passback: Literal["off", "soft", "hard"] = "off"
    without_clock: WithoutClock = Field(
        default="refuse", description="alone and without a trustworthy time: nobody, or cards without limits in time"
    )
    revoked_passes: frozenset[Id] = frozenset()
    pulse_ms: int = Field(default=4000, gt=0, le=30_000)
    held_open_seconds: int | None = Field(default=60, ge=5, description="open longer is an alarm; none: never")
    tells_grants: bool = Field(default=True, description="false: only denials and alarms are logged by credential")

    def local(self, at: datetime) -> datetime:
        return at.astimezone(ZoneInfo(self.time_zone))


@dataclass(frozen=True, slots=True)
class Credential:
    """A card, or a PIN that opens alone. `pin` and `duress` are what may be typed after the card."""

    ref: str
    rules: frozenset[int]
    pin: str | None = None
    duress: str | None = None
    first: int | None = None
    until: int | None = None
    """Seconds since 1970; from and up to, not included."""
    is_duress: bool = False
    """A PIN that opens alone, typed under threat."""
    in_lockdown: bool = False
    arrives: bool = False
    """An employee's: the first of the day lets the opening schedule begin."""


Roll = Mapping[str, Credential]
"""Fingerprint of a card, or of a PIN that opens alone → the credential."""

NONE = "." * FINGERPRINT_CHARACTERS
_FLAGS = ("is_duress", "in_lockdown", "arrives")


class Columns(Payload):
    """Credentials by column, fingerprints end to end: it packs to two thirds of what one array for each takes."""

    shown: str = ""
    refs: tuple[Ref, ...] = ()
    rules: tuple[tuple[RuleId, ...], ...] = ()
    pins: str = ""
    duress: str = ""
    first: tuple[int | None, ...] = ()
    until: tuple[int | None, ...] = ()
    is_duress: tuple[int, ...] = Field(default=(), description="positions")
    in_lockdown: tuple[int, ...] = ()
    arrives: tuple[int, ...] = ()

    @classmethod
    def of(cls, roll: Roll, rules: frozenset[int]) -> "Columns":
        """The credentials of the roll that have at least one of the rules."""
        mine = [(shown, credential) for shown, credential in sorted(roll.items()) if credential.rules & rules]
        return cls(
            shown="".join(shown for shown, _ in mine),
            refs=tuple(credential.ref for _, credential in mine),
            rules=tuple(tuple(sorted(credential.rules & rules)) for _, credential in mine),
            pins="".join(credential.pin or NONE for _, credential in mine),
            duress="".join(credential.duress or NONE for _, credential in mine),
            first=tuple(credential.first for _, credential in mine),
            until=tuple(credential.until for _, credential in mine),
            **{
                flag: tuple(n for n, (_, credential) in enumerate(mine) if getattr(credential, flag)) for flag in _FLAGS
            },
        )

    def packed(self) -> bytes:
        return _packed(self.model_dump_json(exclude_defaults=True))

    def roll(self) -> dict[str, Credential]:
        flags = {flag: frozenset(getattr(self, flag)) for flag in _FLAGS}
        pins, duress = (_split(column) for column in (self.pins, self.duress))
        return {
            shown: Credential(
                ref,
                frozenset(self.rules[n]),
                None if pins[n] == NONE else pins[n],
                None if duress[n] == NONE else duress[n],
                self.first[n],
                self.until[n],
                *(n in flags[flag] for flag in _FLAGS),
            )
            for n, (shown, ref) in enumerate(zip(_split(self.shown), self.refs, strict=True))
        }

    @model_validator(mode="after")
    def _are_as_long(self) -> "Columns":
        fingerprints = (self.shown, self.pins, self.duress)
        wrong = any(len(column) != len(self.refs) * FINGERPRINT_CHARACTERS for column in fingerprints)
        if wrong or any(len(column) != len(self.refs) for column in (self.rules, self.first, self.until)):
            raise ValueError("the columns are not equally long")
        return self


class AccessList(Payload):
    """What travels. Ten thousand credentials fit into 400 kB."""

    access: DoorAccess
    key: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False, description="the site's credential key")
    hub_keys: dict[Id, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        default_factory=dict, description="key id → verify key: whose commands and lists this door takes from now on"
    )
    credentials: Columns = Field(default=Columns(), repr=False)

    @classmethod
    def of(cls, access: DoorAccess, roll: Roll, key: bytes, hub_keys: dict[str, str]) -> "AccessList":
        """The list of a door, with the credentials that have a rule at it."""
        columns = Columns.of(roll, frozenset(rule.id for rule in access.rules))
        return cls(access=access, key=key.hex(), hub_keys=hub_keys, credentials=columns)

    def roll(self) -> dict[str, Credential]:
        return self.credentials.roll()

    def sealed(self, door: VerifyKey, columns: bytes | None = None) -> bytes:
        """The content to sign, for nobody but this door to read. `columns`: its credentials, packed already."""
        head = _packed(self.model_dump_json(exclude_defaults=True, exclude={"credentials"}))
        return PREFIX + SealedBox(door.to_curve25519_public_key()).encrypt(
            head + (columns or self.credentials.packed())
        )

    @classmethod
    def opened(cls, content: bytes, own: SigningKey) -> "AccessList":
        """Raises ListError. Whether the hub signed it is checked before."""
        if not content.startswith(PREFIX):
            raise ListError("is no list")
        try:
            packed = SealedBox(own.to_curve25519_private_key()).decrypt(content.removeprefix(PREFIX))
            head, packed = _unpacked(packed)
            columns, rest = _unpacked(packed)
            if rest:
                raise ListError("is not readable: something follows")
            found = cls.model_validate_json(head)
            return found.model_copy(update={"credentials": Columns.model_validate_json(columns)})
        except CryptoError:
            raise ListError("is sealed for another door") from None
        except (zlib.error, ValidationError) as error:
            raise ListError(f"is not readable: {type(error).__name__}") from None


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), PACKING)


def _unpacked(packed: bytes) -> tuple[bytes, bytes]:
    """The first stream decompressed, and the remaining bytes. Raises zlib.error or ListError."""
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(packed, MAX_BYTES)
    if unpacking.unconsumed_tail:
        raise ListError("is too large")
    if not unpacking.eof:
        raise ListError("is not readable: it is cut off")
    return text, unpacking.unused_data


def _split(column: str) -> list[str]:
    width = FINGERPRINT_CHARACTERS
    return [column[at : at + width] for at in range(0, len(column), width)]
