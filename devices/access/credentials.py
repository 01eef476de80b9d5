"""Cards and PINs as keyed hashes: no card number or PIN is stored or sent (docs/doors.md).

There is one key for the site; a door gets it sealed in its list. With the key and a hash all PINs can be tried in a
second, so the key is stored only with the hub's signing keys and on controllers behind the doors.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b
from itertools import pairwise
from typing import Annotated

from pydantic import StringConstraints

KEY_BYTES = 32
FINGERPRINT_BYTES = 9
"""72 bits: no two of ten thousand credentials meet by chance (1 in 10^14), and ten thousand fit into one message."""
FINGERPRINT_CHARACTERS = 12
FEWEST_DIGITS, MAX_DIGITS = 6, 12

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{12}$")]
"""Base64url of 9 bytes."""


class CredentialError(ValueError):
    """What was read or typed is no credential; the text says what is expected."""


UID_PATTERN = r"^([0-9a-f]{2}){4,10}$"
"""A card's own number as it is written: 4 to 10 bytes."""
MAX_CARD: dict[int, tuple[int, int]] = {
    26: (2**8 - 1, 2**16 - 1),  # HID H10301
    34: (2**16 - 1, 2**16 - 1),  # HID H10306
    37: (2**16 - 1, 2**19 - 1),  # HID H10304
}
"""Bits of a card → the largest facility code and number that they hold."""
MAX_PRINTED = 2**35 - 1
"""Printed on a card of 37 bits."""


PRINTED_BITS = 19
"""Of the 35 bits that the number printed on a card of 37 bits has (HID H10302), those that H10304 calls its number."""


def card(bits: int, facility: int, number: int) -> str:
    """A Wiegand or OSDP card. Raises CredentialError for one that no reader can ever read.

    A card of 37 bits may have one number printed on it, and no facility code: it is `number` then, with 0.
    """
    if bits not in MAX_CARD:
        raise CredentialError(f"a card has {', '.join(map(str, MAX_CARD))} bits, not {bits}")
    most_facility, most_number = MAX_CARD[bits]
    if bits == 37 and facility == 0 and most_number < number <= MAX_PRINTED:  # noqa: PLR2004 (the bits of MAX_CARD)
        facility, number = divmod(number, 2**PRINTED_BITS)
    if not (0 <= facility <= most_facility and 0 <= number <= most_number):
        raise CredentialError(
            f"{bits} bits hold a facility code up to {most_facility} and a number up to {most_number}"
        )
    return f"card:{bits}:{facility}:{number}"


def readings(shown: str) -> tuple[str, ...]:
    """The canonical form of a card, and the form that other readers give for the same card, if any.

    34 bits are the four bytes of a contactless card's own number and two of parity. Cards are stored in either form.
    """
    word, _, rest = shown.partition(":")
    if word == "uid" and len(rest) == 8:  # noqa: PLR2004 (four bytes)
        facility, number = divmod(int(rest, 16), 2**16)
        return shown, card(34, facility, number)
    if shown.startswith("card:34:"):
        facility, number = map(int, shown.split(":")[2:])
        return uid((facility << 16 | number).to_bytes(4, "big")), shown
    return (shown,)


def turned(shown: str) -> str:
    """The card of a reader that sends the card's own number in reverse byte order."""
    form = readings(shown)[0]
    return uid(bytes.fromhex(form.removeprefix("uid:"))[::-1]) if form.startswith("uid:") else form


def uid(identifier: bytes) -> str:
    """A MIFARE or other contactless card's own number, as the reader gives it, most significant byte first."""
    return f"uid:{identifier.hex()}"


def pin(digits: str) -> str:
    """Raises CredentialError."""
    if not digits.isascii() or not digits.isdecimal() or not FEWEST_DIGITS <= len(digits) <= MAX_DIGITS:
        raise CredentialError(f"a PIN has {FEWEST_DIGITS} to {MAX_DIGITS} digits")
    if is_easily_guessed(digits):
        raise CredentialError("this PIN is too easy to guess")
    return typed_pin(digits)


def typed_pin(digits: str) -> str:
    """As `pin`, without checks, for what was typed at a door."""
    return f"pin:{digits}"


def is_easily_guessed(digits: str) -> bool:
    """One digit repeated, a run such as 123456 or 987654, or a short piece repeated (121212, 123123)."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(digits)}
    return steps in ({0}, {1}, {9}) or re.fullmatch(r"(\d{2,3})\1+", digits) is not None


def fingerprint(key: bytes, shown: str) -> str:
    """BLAKE2b with the site's key (RFC 7693 § 2.9), a few microseconds; 12 characters."""
    digest = blake2b(shown.encode(), key=key, digest_size=FINGERPRINT_BYTES, person=b"kommunevert").digest()
    return urlsafe_b64encode(digest).decode()
