"""What every message shares, and the field types that messages are made of."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints

MAX_PAYLOAD_BYTES = 32_768
"""Towards browsers: Mosquitto 2.0's WebSockets stall on larger retained messages."""

Languages = tuple[str, ...]
Translated = dict[str, str]
"""Language code (nn, nb, en …) → text."""


class Payload(BaseModel):
    """A payload. Immutable; unknown fields are ignored, so that either side may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def encoded(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()


def clean(text: object) -> object:
    """Text as people mean it: NFC, white space folded, no control or direction characters (Unicode Cc, Cf …).

    U+200D joins emoji and is kept; a name that is markup stays as it is and is escaped where it is shown.
    """
    if not isinstance(text, str):
        return text
    kept = (
        character
        for character in unicodedata.normalize("NFC", text)
        if character in "\t\n\u200d" or unicodedata.category(character) not in {"Cc", "Cf", "Co", "Cs", "Cn"}
    )
    return " ".join("".join(kept).split())


def _has_letters(text: str) -> str:
    if not any(character.isalpha() for character in text):
        raise ValueError("has no letter in it")
    return text


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Made by whoever makes the thing; the same id twice is one thing (I2)."""

Name = Annotated[
    str, BeforeValidator(clean), StringConstraints(min_length=1, max_length=80), AfterValidator(_has_letters)
]
Text = Annotated[str, BeforeValidator(clean), StringConstraints(max_length=500)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _shown_anywhere(at: datetime) -> datetime:
    if EARLIEST.year < at.year < LATEST.year - 1:
        return at  # nearly always, and quicker than comparing times
    return min(max(at, EARLIEST), LATEST)


DeviceTime = Annotated[AwareDatetime, AfterValidator(_shown_anywhere)]
"""What a device's own clock says, which may be anything: kept to years that every database and time zone can take.
Nothing is decided by it; the hub has its own time of receipt."""


def new_id() -> str:
    """A random id of 128 bits, 32 hexadecimal digits."""
    return uuid4().hex
