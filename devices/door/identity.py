"""The controller's identity and the hub's key, from its enrolment."""

import ssl
from dataclasses import dataclass

from nacl.signing import SigningKey, VerifyKey

from devices.contract import topics
from devices.contract.door import KIND
from devices.contract.enrolment import Enrolment
from devices.contract.topics import Direction
from devices.wire.connection import Address

KEY_BYTES = 32


class EnrolmentError(ValueError):
    """The enrolment is not one that a door can work with."""


@dataclass(frozen=True)
class Identity:
    """`hub_key` verifies the hub's commands; `own_key` signs this door's messages."""

    enrolment: Enrolment
    hub_key: VerifyKey
    own_key: SigningKey

    @classmethod
    def of(cls, enrolment: Enrolment) -> "Identity":
        """Raises EnrolmentError that names the field."""
        if enrolment.kind != KIND:
            raise EnrolmentError(f"kind is {enrolment.kind}: this program drives a {KIND}")
        return cls(
            enrolment,
            VerifyKey(_key(enrolment.hub_key, "hub_key")),
            SigningKey(_key(enrolment.device_key, "device_key")),
        )

    @property
    def door(self) -> str:
        return self.enrolment.device

    def topic(self, direction: Direction, what: str) -> str:
        mine = self.enrolment
        return topics.topic(mine.root, mine.site, mine.kind, mine.device, direction, what)

    def address(self) -> Address:
        """Raises OSError when the CA file cannot be read."""
        mine = self.enrolment
        is_tls = mine.tls or mine.ca or mine.ca_file
        tls = ssl.create_default_context(cafile=mine.ca_file, cadata=mine.ca) if is_tls else None
        return Address(mine.host, mine.port, mine.device, mine.secret, tls)


def _key(hexadecimal: str | None, field: str) -> bytes:
    try:
        key = bytes.fromhex(hexadecimal or "")
    except ValueError:
        raise EnrolmentError(f"{field} is not hexadecimal") from None
    if len(key) != KEY_BYTES:
        raise EnrolmentError(f"{field} must be 64 hexadecimal digits")
    return key
