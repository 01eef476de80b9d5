"""A door on the pins of a Raspberry Pi, by gpiozero (the extra `raspberry`)."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from devices.contract.door import Contact, Input, Lock, Power
from devices.door.hardware.interface import HardwareError, Reading
from devices.door.readers.config import ReaderPlan, check_together

SETTLE_SECONDS = 0.2
INPUTS: tuple[Input, ...] = ("fire", "tamper", "mains_lost")
READ_AFTER_SECONDS = 0.05
"""A thread of its own ends a pulse, maybe a little after we would look."""

Pin = int | str
"""As gpiozero takes it: 17 or "GPIO17" (Broadcom), "BOARD11" (position in the header)."""


class Pins(BaseModel):
    """Which pin is what, as a small JSON file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    power: Power = Field(
        description="fail_secure: without power the door stays locked; fail_safe: it lets go, as a magnet does"
    )
    relay: Pin = 17
    relay_active_high: bool = Field(default=True, description="false: the relay board pulls at a low level")
    contact: Pin | None = Field(default=27, description="null: this door has no contact")
    contact_closed_to_ground: bool = Field(
        default=True, description="the pin is at ground while the door is closed; false: while it is open"
    )
    exit_button: Pin | None = Field(default=22, description="to ground when pressed; null: not wired to us")
    fire: Pin | None = Field(
        default=None, description="to ground while the fire alarm has released the lock; seen only"
    )
    tamper: Pin | None = Field(default=None, description="to ground while the box is open")
    mains_lost: Pin | None = Field(default=None, description="to ground while it runs on its battery")
    bounce_ms: int = Field(default=50, ge=0, le=1000)
    readers: tuple[ReaderPlan, ...] = Field(default=(), description="see docs/doors.md")

    @model_validator(mode="after")
    def _wants_nothing_twice(self) -> "Pins":
        named = {name: getattr(self, name) for name in ("relay", "contact", "exit_button", *INPUTS)}
        check_together(self.readers, {name: pin for name, pin in named.items() if pin is not None})
        return self

    @classmethod
    def read(cls, path: Path) -> "Pins":
        """Raises FileNotFoundError, or pydantic.ValidationError that names the field."""
        return cls.model_validate_json(path.read_text())


class GpioDoor:
    """Hardware by gpiozero. The door is locked when the relay is taken, and a thread of its own ends each pulse.

    A fail-secure lock opens while the relay is on, a fail-safe one is locked by it. A busy loop cannot hold a door
    open. A process that is killed during a pulse lets go of the pin, and what the line does then is the board's
    affair: choose a relay board that is idle at high impedance.
    """

    def __init__(self, pins: Pins, factory: Any = None) -> None:
        self._pins = pins
        self._factory = factory
        self._relay: Any = None
        self._contact: Any = None
        self._exit: Any = None
        self._inputs: dict[Input, Any] = {}
        self._is_held = False
        self.power = pins.power
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
                pins.relay,
                active_high=pins.relay_active_high,
                initial_value=self._value_of("locked"),
                pin_factory=self._factory,
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
            for name in INPUTS:
                if (pin := getattr(pins, name)) is not None:
                    button = gpiozero.Button(pin, pull_up=True, bounce_time=seconds, pin_factory=self._factory)
                    button.when_pressed = button.when_released = lambda: loop.call_soon_threadsafe(self._look)
                    self._inputs[name] = button
        except gpiozero.GPIOZeroError as error:
            self.close()
            raise HardwareError(str(error)) from error
        self._on_change = on_change
        self._later("settle", SETTLE_SECONDS, self._settle)

    def pulse(self, pulse_ms: int) -> None:
        end = threading.Timer(pulse_ms / 1000, self._relock)
        end.daemon = True
        self._stop_timer()
        with self._driving():
            end.start()  # before the lock is released: a pulse that nothing ends must not begin
            self._end_of_pulse = end
            self._relay.value = self._value_of("unlocked")
        self._look()
        self._later("pulse", pulse_ms / 1000 + READ_AFTER_SECONDS, self._look)

    def unlock(self) -> None:
        self._is_held = True
        with self._driving():
            self._relay.value = self._value_of("unlocked")
        self._look()

    def lock(self) -> None:
        self._is_held = False
        self._stop_timer()
        with self._driving():
            self._relay.value = self._value_of("locked")
        self._look()

    @contextmanager
    def _driving(self) -> Iterator[None]:
        if self._relay is None:
            raise HardwareError("not started")
        try:
            yield
        except Exception as error:  # gpiozero lets its back ends' own errors through
            raise HardwareError(str(error) or type(error).__name__) from error

    def _relock(self) -> None:
        """In the timer's thread."""
        relay = self._relay
        if relay is not None and not self._is_held:
            relay.value = self._value_of("locked")

    def _stop_timer(self) -> None:
        if self._end_of_pulse is not None:
            self._end_of_pulse.cancel()

    def _value_of(self, lock: Lock) -> bool:
        """Of the relay; a fail-safe lock needs power to be locked."""
        return (lock == "unlocked") == (self.power == "fail_secure")

    def reading(self) -> Reading:
        if not self._settled:
            return Reading()
        inputs = frozenset(name for name, button in self._inputs.items() if button.is_pressed)
        return Reading(self._lock(), self._door(), inputs)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._end_of_pulse is not None:
            self._end_of_pulse.cancel()
        for device in (self._relay, self._contact, self._exit, *self._inputs.values()):
            if device is not None:
                device.close()
        self._relay = self._contact = self._exit = None
        self._inputs = {}

    def _settle(self) -> None:
        self._settled = True
        self._look()

    def _look(self) -> None:
        if self._relay is not None and (reading := self.reading()) != self._last:
            self._last = reading
            self._on_change(reading)

    def _lock(self) -> Lock:
        return "unlocked" if bool(self._relay.value) == self._value_of("unlocked") else "locked"

    def _door(self) -> Contact:
        if self._contact is None:
            return "unknown"
        return "closed" if self._contact.is_pressed == self._pins.contact_closed_to_ground else "open"

    def _later(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, work)
