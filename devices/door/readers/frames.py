"""What a card reader sends as bits, read as a card. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from devices.access import credentials


class FrameError(ValueError):
    """These bits are no card; the text contains their number only."""


@dataclass(frozen=True, slots=True)
class Format:
    """`even` and `odd` are the bits that the first and the last bit make even and odd, counted from 0."""

    facility: slice
    number: slice
    even: slice
    odd: slice


FORMATS = {
    26: Format(slice(1, 9), slice(9, 25), slice(0, 13), slice(13, 26)),  # HID H10301
    34: Format(slice(1, 17), slice(17, 33), slice(0, 17), slice(17, 34)),  # HID H10306
    37: Format(slice(1, 17), slice(17, 36), slice(0, 19), slice(18, 37)),  # HID H10304: bit 18 is in both
}
UID_BITS = (32, 56, 64, 80)
"""Lengths of a contactless card's own number (ISO 14443-3: 4, 7 and 10 bytes; ISO 15693: 8), which has no parity."""


KEYS, KEY_BITS = "0123456789*#", 4
"""What a keypad sends, by its number."""


def card(bits: Sequence[int]) -> str:
    """`card:26:12:3456` of a frame with parity. Raises FrameError."""
    form = FORMATS.get(len(bits))
    if form is None:
        raise FrameError(f"{len(bits)} bits are no known format")
    if sum(bits[form.even]) % 2 != 0 or sum(bits[form.odd]) % 2 != 1:
        raise FrameError(f"the parity of {len(bits)} bits is wrong")
    return credentials.card(len(bits), _number(bits[form.facility]), _number(bits[form.number]))


def card_or_uid(bits: Sequence[int]) -> str:
    """As `card`, and a card's own number where the line itself guards against errors. Raises FrameError."""
    if len(bits) in UID_BITS:
        return credentials.uid(_number(bits).to_bytes(len(bits) // 8, "big"))
    return card(bits)


def bits_of(data: bytes, length: int) -> list[int]:
    """The first `length` bits, the most significant first. Raises FrameError when there are fewer."""
    if length > len(data) * 8:
        raise FrameError(f"{length} bits announced, {len(data) * 8} sent")
    return [data[at // 8] >> (7 - at % 8) & 1 for at in range(length)]


def key(bits: Sequence[int]) -> str | None:
    """A key of a keypad: 4 bits, or 8 with the complement before them; None when these are no key."""
    if len(bits) == 2 * KEY_BITS:
        if any(first == second for first, second in zip(bits[:KEY_BITS], bits[KEY_BITS:], strict=True)):
            return None
        bits = bits[KEY_BITS:]
    if len(bits) != KEY_BITS:
        return None
    number = _number(bits)
    return KEYS[number] if number < len(KEYS) else None


def _number(bits: Sequence[int]) -> int:
    return int("".join(map(str, bits)), 2)
