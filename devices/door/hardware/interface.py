"""What a controller needs of a door's hardware. `simulated.py` and `gpio.py` have it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from devices.contract.door import Contact, Input, Lock, Power


class HardwareError(Exception):
    """The hardware did not do what it was told."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the hardware shows now. `lock` is what the relay says: a strike has no tongue to tell more."""

    lock: Lock = "unknown"
    contact: Contact = "unknown"
    inputs: frozenset[Input] = frozenset()


class Hardware(Protocol):
    """One door. All calls are made on the loop, none may block, and so are both callbacks."""

    def start(self, on_change: Callable[[Reading], None], on_exit: Callable[[], None]) -> None:
        """Take the pins, relay idle, and begin to tell. Raises HardwareError."""

    power: Power
    """What the lock does when the power is gone."""

    def pulse(self, pulse_ms: int) -> None:
        """Release the lock for this long, beginning before this returns. Raises HardwareError.

        A door that stands unlocked stays so.
        """

    def unlock(self) -> None:
        """Release the lock until `lock`. Raises HardwareError."""

    def lock(self) -> None:
        """End an `unlock` and a pulse. Raises HardwareError."""

    def reading(self) -> Reading:
        """What is known now; unknown until the first steady reading."""

    def close(self) -> None:
        """Relay idle, pins given back."""
