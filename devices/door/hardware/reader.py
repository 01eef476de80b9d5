"""The interface of a reader; `simulated.py` has a simulated one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from devices.contract.door import Input, Side

Signal = Literal["granted", "denied", "pin_wanted", "waiting", "idle"]
"""What light and buzzer show; `waiting`: blocked for a while after too many failed tries."""


@dataclass(frozen=True, slots=True)
class Presented:
    """One of: a card (devices.access.credentials), the digits of a PIN, or the text of a QR code."""

    card: str | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """A reader's condition. `problem`: for the caretaker, in English, naming the reader and what to do."""

    is_lost: bool = False
    is_refused: bool = False
    """It answers, but does not have our key."""
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
        """Begin to call back; `on_condition` at every change. Raises HardwareError.

        A reader that does not answer is no error but a condition.
        """

    def show(self, signal: Signal) -> None:
        """By light and sound."""

    def close(self) -> None:
        """Stop calling back."""
