"""What a controller needs of a reader. `simulated.py` has one that exists only here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from devices.contract.door import Side

Signal = Literal["granted", "denied", "pin_wanted", "waiting", "idle"]
"""What its light and buzzer show; `waiting`: nothing is taken for a while, after too many wrong tries."""


@dataclass(frozen=True, slots=True)
class Presented:
    """Something was shown: a card (devices.access.credentials), the digits of a PIN, or the text of a QR code."""

    card: str | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


class Reader(Protocol):
    """All calls and the callback are made on the loop, and none may block."""

    name: str
    side: Side

    def start(self, on_shown: Callable[[Presented], None]) -> None:
        """Begin to tell. Raises HardwareError."""

    def show(self, signal: Signal) -> None:
        """By light and sound."""

    def close(self) -> None:
        """Nothing more is told."""
