"""A visitor's pass: a QR code that any of its doors can verify by itself. Nothing in it is about a person.

The text is `KV1.<key id>.<content>.<signature>`, the last two in Base64 for addresses without padding. The content is
the JSON array `[id, [door, …], first, until, once]`, times in seconds since 1970. Ed25519 signs PREFIX and the content;
the prefix keeps a pass from ever being a command or a list.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Annotated

import orjson
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from pydantic import Field, ValidationError, model_validator

from devices.contract.payload import Id, Payload

PREFIX = b"pass\n"
FORMAT = "KV1"
MAX_DOORS = 8
MAX_CHARACTERS = 500
"""A QR code of version 15 with medium correction holds them: readable from a telephone's screen."""
PARTS = 4


class PassError(ValueError):
    """The text is not a valid pass."""


class Pass(Payload):
    """From `first` up to `until`, not included. `once`: the first door that lets it in uses it up."""

    id: Id
    doors: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_DOORS)]
    first: int = Field(ge=0)
    until: int = Field(ge=0)
    once: bool

    @model_validator(mode="after")
    def _in_order(self) -> "Pass":
        if self.until <= self.first:
            raise ValueError("a pass ends after it begins")
        return self

    def content(self) -> bytes:
        """What is signed, after PREFIX."""
        return orjson.dumps([self.id, list(self.doors), self.first, self.until, self.once])

    def text(self, key_id: str, signature: bytes) -> str:
        """As it stands in the QR code. Raises PassError when it is too long for one."""
        found = ".".join((FORMAT, key_id, _encoded(self.content()), _encoded(signature)))
        if len(found) > MAX_CHARACTERS:
            raise PassError(f"too long: {len(found)} characters, at most {MAX_CHARACTERS}; name fewer doors")
        return found


def read_pass(text: str, keys: Mapping[str, VerifyKey]) -> Pass:
    """The pass, when one of the hub's keys signed it. Raises PassError."""
    parts = text.split(".")
    if len(text) > MAX_CHARACTERS or len(parts) != PARTS or parts[0] != FORMAT:
        raise PassError("is no pass")
    key = keys.get(parts[1])
    if key is None:
        raise PassError("is signed by a key that is not known here")
    try:
        content, signature = _decoded(parts[2]), _decoded(parts[3])
        key.verify(PREFIX + content, signature)
        return Pass.model_validate(
            dict(zip(("id", "doors", "first", "until", "once"), orjson.loads(content), strict=True))
        )
    except BadSignatureError:
        raise PassError("is not signed by the hub") from None
    except (ValueError, TypeError, ValidationError) as error:
        raise PassError(f"is not readable: {type(error).__name__}") from None


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
