"""A Wiegand reader on two pins, by gpiozero (the extra `raspberry`). Its wires are plain: docs/doors.md."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from devices.access.credentials import turned
from devices.contract.door import Side
from devices.door.hardware.interface import HardwareError
from devices.door.hardware.reader import Condition, Presented, Signal
from devices.door.readers.frames import FrameError, card, key
from devices.door.readers.keypad import Keypad

log = structlog.get_logger("door.wiegand")

SILENCE_SECONDS = 0.025
"""Ends a frame; within one the bits are at most 20 ms apart (SIA AC-01)."""
KEY_BITS = (4, 8)
MAX_BITS = 256
LIGHT_SECONDS: dict[Signal, float] = {"granted": 3.0, "pin_wanted": 15.0}
BEEPS: dict[Signal, int] = {"granted": 1, "pin_wanted": 1, "denied": 3}
BEEP_SECONDS = 0.1

Pin = int | str


class WiegandReader:
    """D0 and D1 are high, and a short pulse to ground is a bit. Light and beeper are there if they are wired."""

    def __init__(
        self,
        name: str,
        side: Side,
        d0: Pin,
        d1: Pin,
        *,
        light: Pin | None = None,
        beeper: Pin | None = None,
        outputs_active_high: bool = False,
        turns: bool = False,
        factory: Any = None,
    ) -> None:
        self.name = name
        self.side: Side = side
        self._data = (d0, d1)
        self._outputs: dict[str, Pin | None] = {"light": light, "beeper": beeper}
        self._turns = turns
        self._outputs_active_high = outputs_active_high
        self._factory = factory
        self._devices: list[Any] = []
        self._light: Any = None
        self._beeper: Any = None
        self._bits: deque[tuple[int, float]] = deque(maxlen=MAX_BITS)
        """And when they came: written by the pins' thread, taken on the loop."""
        self._frame_end: asyncio.TimerHandle | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._keypad = Keypad(lambda digits: self._on_shown(Presented(pin=digits)))
        self._on_shown: Callable[[Presented], None] = lambda _presented: None

    def start(self, on_shown: Callable[[Presented], None], on_condition: Callable[[Condition], None]) -> None:  # noqa: ARG002 (two wires say nothing of how a reader is)
        try:
            import gpiozero  # noqa: PLC0415 (only a Raspberry Pi has it)
        except ImportError as error:
            raise HardwareError("gpiozero is missing: pip install 'kommunevert[raspberry]'") from error
        self._on_shown = on_shown
        loop = asyncio.get_running_loop()
        try:
            for bit, pin in enumerate(self._data):
                device = gpiozero.DigitalInputDevice(pin, pull_up=True, pin_factory=self._factory)
                self._devices.append(device)
                device.when_activated = partial(self._pulsed, loop, bit)
            for name, output_pin in self._outputs.items():
                if output_pin is not None:
                    output = gpiozero.OutputDevice(
                        output_pin, active_high=self._outputs_active_high, pin_factory=self._factory
                    )
                    self._devices.append(output)
                    setattr(self, f"_{name}", output)
        except gpiozero.GPIOZeroError as error:
            self.close()
            raise HardwareError(f"reader {self.name}: {error}") from error

    def show(self, signal: Signal) -> None:
        if self._light is not None:
            self._light.value = signal in LIGHT_SECONDS
            self._later("light", LIGHT_SECONDS.get(signal, 0.0), self._light.off)
        if self._beeper is not None:
            self._beep(2 * BEEPS.get(signal, 0))

    def close(self) -> None:
        for timer in (*self._timers.values(), *([self._frame_end] if self._frame_end else ())):
            timer.cancel()
        self._timers.clear()
        self._frame_end = None
        self._keypad.clear()
        for device in self._devices:
            device.close()
        self._devices.clear()
        self._light = self._beeper = None

    def _pulsed(self, loop: asyncio.AbstractEventLoop, bit: int) -> None:
        """In the pins' thread."""
        self._bits.append((bit, time.monotonic()))
        loop.call_soon_threadsafe(self._await_silence)

    def _await_silence(self) -> None:
        if self._frame_end is None and self._devices:
            self._frame_end = asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._look)

    def _look(self) -> None:
        """Split frames by the time at which the bits came, so that a busy loop does not tear a card apart."""
        self._frame_end = None
        pulses = list(self._bits)
        frame: list[int] = []
        for (bit, at), after in zip(pulses, [at for _, at in pulses[1:]] + [time.monotonic()], strict=True):
            frame.append(bit)
            if after - at >= SILENCE_SECONDS:
                for _ in frame:
                    self._bits.popleft()
                self._take(frame)
                frame = []
        if frame:  # not yet at its end
            self._await_silence()

    def _take(self, frame: list[int]) -> None:
        if len(frame) in KEY_BITS:
            pressed = key(frame)
            if pressed is not None:
                self._keypad.pressed(pressed)
            return
        self._keypad.clear()
        try:
            shown = card(frame)
        except FrameError as error:
            log.warning("card_read_failed", reader=self.name, problem=str(error))
        else:
            self._on_shown(Presented(card=turned(shown) if self._turns else shown))

    def _beep(self, halves: int) -> None:
        """On and off in turns, until none is left."""
        if self._beeper is None:
            return
        self._beeper.value = halves > 0 and halves % 2 == 0
        if halves > 0:
            self._later("beep", BEEP_SECONDS, partial(self._beep, halves - 1))

    def _later(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, work)
