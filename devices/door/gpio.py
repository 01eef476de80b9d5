"""A door on the pins of a Raspberry Pi, by gpiozero (the extra `raspberry`)."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from devices.contract.door import Contact, Lock
from devices.door.hardware import HardwareError, Reading

SETTLE_SECONDS = 0.2
READ_AFTER_SECONDS = 0.05
"""A thread of its own ends a pulse, maybe a little after we would look."""

Pin = int | str
"""As gpiozero takes it: 17 or "GPIO17" (Broadcom), "BOARD11" (position in the header)."""


class Pins(BaseModel):
    """Which pin is what, as a small JSON file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relay: Pin = 17
    relay_active_high: bool = Field(default=True, description="false: the relay board pulls at a low level")
    contact: Pin | None = Field(default=27, description="null: this door has no contact")
    contact_closed_to_ground: bool = Field(
        default=True, description="the pin is at ground while the door is closed; false: while it is open"
    )
    exit_button: Pin | None = Field(default=22, description="to ground when pressed; null: not wired to us")
    bounce_ms: int = Field(default=50, ge=0, le=1000)

    @classmethod
    def read(cls, path: Path) -> "Pins":
        """Raises FileNotFoundError, or pydantic.ValidationError that names the field."""
        return cls.model_validate_json(path.read_text())


class GpioDoor:
    """Hardware by gpiozero. The relay is made idle when it is taken, and a thread of its own ends each pulse.

    So a busy loop cannot hold a door open. A process that is killed during a pulse lets go of the pin, and
    what the line does then is the board's affair: choose a relay board that is idle at high impedance.
    """

    def __init__(self, pins: Pins, factory: Any = None) -> None:
        self._pins = pins
        self._factory = factory
        self._relay: Any = None
        self._contact: Any = None
        self._exit: Any = None
        self._settled = False
        self._last = Reading()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._end_of_pulse: threading.Timer | None = None
        self._on_change: Callable[[Reading], None] = lambda _reading: None

    def start(self, on_change: Callable[[Reading], None], on_exit: Callable[[], None]) -> None:
        try:
            import gpiozero  # noqa: PLC0415 (only a Raspberry Pi has it)
        except ImportError as error:
            raise HardwareError("gpiozero is missing: pip install 'kommunevert[raspberry]'") from error
        loop = asyncio.get_running_loop()
        pins, seconds = self._pins, self._pins.bounce_ms / 1000 or None
        try:
            self._relay = gpiozero.OutputDevice(
                pins.relay, active_high=pins.relay_active_high, initial_value=False, pin_factory=self._factory
            )
            if pins.contact is not None:
                self._contact = gpiozero.Button(
                    pins.contact, pull_up=True, bounce_time=seconds, pin_factory=self._factory
                )
                self._contact.when_pressed = self._contact.when_released = lambda: loop.call_soon_threadsafe(self._look)
            if pins.exit_button is not None:
                self._exit = gpiozero.Button(
                    pins.exit_button, pull_up=True, bounce_time=seconds, pin_factory=self._factory
                )
                self._exit.when_pressed = lambda: loop.call_soon_threadsafe(on_exit)
        except gpiozero.GPIOZeroError as error:
            self.close()
            raise HardwareError(str(error)) from error
        self._on_change = on_change
        self._later("settle", SETTLE_SECONDS, self._settle)

    def pulse(self, pulse_ms: int) -> None:
        if self._relay is None:
            raise HardwareError("not started")
        if self._end_of_pulse is not None:
            self._end_of_pulse.cancel()
        end = self._end_of_pulse = threading.Timer(pulse_ms / 1000, self._relay.off)
        end.daemon = True
        try:
            end.start()  # before the relay is on: a pulse that nothing ends must not begin
            self._relay.on()
        except Exception as error:  # gpiozero lets its back ends' own errors through
            raise HardwareError(str(error) or type(error).__name__) from error
        self._look()
        self._later("pulse", pulse_ms / 1000 + READ_AFTER_SECONDS, self._look)

    def reading(self) -> Reading:
        if not self._settled:
            return Reading()
        return Reading(self._lock(), self._door())

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._end_of_pulse is not None:
            self._end_of_pulse.cancel()
        for device in (self._relay, self._contact, self._exit):
            if device is not None:
                device.close()
        self._relay = self._contact = self._exit = None

    def _settle(self) -> None:
        self._settled = True
        self._look()

    def _look(self) -> None:
        if self._relay is not None and (reading := self.reading()) != self._last:
            self._last = reading
            self._on_change(reading)

    def _lock(self) -> Lock:
        return "unlocked" if self._relay.value else "locked"

    def _door(self) -> Contact:
        if self._contact is None:
            return "unknown"
        return "closed" if self._contact.is_pressed == self._pins.contact_closed_to_ground else "open"

    def _later(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, work)
