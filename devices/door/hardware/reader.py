"""What a controller needs of a reader. `simulated.py` has one that exists only here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from devices.contract.door import Input, Side

Signal = Literal["granted", "denied", "pin_wanted", "waiting", "idle"]
"""What its light and buzzer show; `waiting`: nothing is taken for a while, after too many wrong tries."""


@dataclass(frozen=True, slots=True)
class Presented:
    """Something was shown: a card (devices.access.credentials), the digits of a PIN, or the text of a QR code."""

    card: str | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """How a reader is. `problem` is for the caretaker, in English, and says which reader and what to do."""

    is_lost: bool = False
    is_refused: bool = False
    """It answers, but not as the reader that we know."""
    is_tampered: bool = False
    problem: str | None = None

    def inputs(self) -> frozenset[Input]:
        names: dict[Input, bool] = {"reader_lost": self.is_lost or self.is_refused, "tamper": self.is_tampered}
        return frozenset(name for name, is_so in names.items() if is_so)


class Reader(Protocol):
    """All calls and the callbacks are made on the loop, and none may block."""

    name: str
    side: Side

    def start(self, on_shown: Callable[[Presented], None], on_condition: Callable[[Condition], None]) -> None:
        """Begin to tell; `on_condition` at every change. Raises HardwareError.

        A reader that does not answer is no error: the door goes on without it, and tells.
        """

    def show(self, signal: Signal) -> None:
        """By light and sound."""

    def close(self) -> None:
        """Nothing more is told."""
