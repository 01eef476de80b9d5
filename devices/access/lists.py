"""The access list: what a door must know to decide by itself. The hub makes one for each door, signed and sealed.

On the wire its content is PREFIX and a libsodium sealed box, for the door's own key, of the zlib-compressed JSON of
an AccessList. The prefix keeps a signature over a list from ever being one over a command.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nacl.exceptions import CryptoError
from nacl.public import SealedBox
from nacl.signing import SigningKey, VerifyKey
from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from devices.access.credentials import Fingerprint
from devices.access.times import Times
from devices.contract.messages import Id, Message

PREFIX = b"list\n"
MOST_BYTES = 8_000_000
"""Unpacked; ten thousand credentials are under one million."""

RuleId = Annotated[int, Field(ge=1)]
Ref = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
"""A credential's pseudonym: what logs and messages call it. Whose it is, only the hub knows."""


class ListError(ValueError):
    """A list that is not for this door, or not readable."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("is no time zone such as Europe/Oslo") from None
    return name


class Rule(Message):
    """Some may pass this door at these times. `asks`: the card (or PIN) alone, or a card and then its PIN."""

    id: RuleId
    times: Times = Times()
    asks: Literal["one", "card_and_pin"] = "one"


class Opening(Message):
    """When the door stands unlocked for all; `after_arrival`: not before an employee has come that day."""

    times: Times
    after_arrival: bool = False


class DoorAccess(Message):
    """A door's rules and habits, without the credentials."""

    door: Id
    version: int = Field(ge=1, description="grows with each list that the hub makes")
    made_at: AwareDatetime
    valid_until: AwareDatetime
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "Europe/Oslo"
    holidays: frozenset[date] = frozenset()
    rules: tuple[Rule, ...] = ()
    opening: Opening | None = None
    lockdown: bool = Field(default=False, description="credentials are refused but for named ones; never the way out")
    passback: Literal["off", "soft", "hard"] = "off"
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

_Packed = tuple[Fingerprint, Ref, list[int], int, Fingerprint | None, Fingerprint | None, int | None, int | None]


class AccessList(Message):
    """What travels. `credentials` are packed: short arrays, as ten thousand must fit into 400 kB."""

    access: DoorAccess
    key: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False, description="the site's credential key")
    hub_keys: dict[Id, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        default_factory=dict, description="key id → verify key: whose commands and lists this door takes from now on"
    )
    credentials: list[_Packed] = Field(default_factory=list, repr=False)

    @classmethod
    def of(cls, access: DoorAccess, roll: Roll, key: bytes, hub_keys: dict[str, str]) -> "AccessList":
        """With those credentials that a rule of this door is for."""
        rules = {rule.id for rule in access.rules}
        mine = ((shown, one) for shown, one in sorted(roll.items()) if one.rules & rules)
        packed = [_packed(shown, one, rules) for shown, one in mine]
        return cls(access=access, key=key.hex(), hub_keys=hub_keys, credentials=packed)

    def roll(self) -> dict[str, Credential]:
        return dict(_unpacked(one) for one in self.credentials)

    def sealed(self, door: VerifyKey) -> bytes:
        """The content to sign, for nobody but this door to read."""
        packed = zlib.compress(self.model_dump_json(exclude_none=False, exclude_defaults=True).encode(), 9)
        return PREFIX + SealedBox(door.to_curve25519_public_key()).encrypt(packed)

    @classmethod
    def opened(cls, content: bytes, own: SigningKey) -> "AccessList":
        """Raises ListError. Whether the hub signed it is checked before."""
        if not content.startswith(PREFIX):
            raise ListError("is no list")
        try:
            packed = SealedBox(own.to_curve25519_private_key()).decrypt(content.removeprefix(PREFIX))
            unpacking = zlib.decompressobj()
            text = unpacking.decompress(packed, MOST_BYTES)
            if unpacking.unconsumed_tail:
                raise ListError("is too large")
            return cls.model_validate_json(text)
        except CryptoError:
            raise ListError("is sealed for another door") from None
        except (zlib.error, ValidationError) as error:
            raise ListError(f"is not readable: {type(error).__name__}") from None


def _packed(shown: str, one: Credential, rules: Iterable[int]) -> _Packed:
    flags = one.is_duress | one.in_lockdown << 1 | one.arrives << 2
    return (shown, one.ref, sorted(one.rules & set(rules)), flags, one.pin, one.duress, one.first, one.until)


def _unpacked(packed: _Packed) -> tuple[str, Credential]:
    shown, ref, rules, flags, pin, duress, first, until = packed
    return shown, Credential(
        ref=ref,
        rules=frozenset(rules),
        pin=pin,
        duress=duress,
        first=first,
        until=until,
        is_duress=bool(flags & 1),
        in_lockdown=bool(flags & 2),
        arrives=bool(flags & 4),
    )
