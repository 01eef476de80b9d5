"""The interface of a door's hardware, implemented by `simulated.py` and `gpio.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from devices.contract.door import Contact, Input, Lock, Power


class HardwareError(Exception):
    """The hardware failed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The hardware's state. `lock` follows the relay, since a strike has no sensor."""

    lock: Lock = "unknown"
    contact: Contact = "unknown"
    inputs: frozenset[Input] = frozenset()


class Hardware(Protocol):
    """One door. All calls are made on the loop, none may block, and so are both callbacks."""

    def start(self, on_change: Callable[[Reading], None], on_exit: Callable[[], None]) -> None:
        """Take the pins, with the relay idle, and begin to call back. Raises HardwareError."""

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
        """The current state; unknown until the first stable reading."""

    def close(self) -> None:
        """Set the relay idle and release the pins."""
