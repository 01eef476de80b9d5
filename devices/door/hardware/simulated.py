"""A simulated door and reader: people open it when the lock is released, and it falls shut behind them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

import structlog

from devices.contract.door import Contact, Lock, Power, Side
from devices.door.hardware.interface import HardwareError, Reading
from devices.door.hardware.reader import Condition, Presented, Signal

log = structlog.get_logger("door.simulated")

SETTLE_SECONDS = 0.2
COMES_THROUGH = 0.93
"""Somebody now and then opens a door for nobody."""


class SimulatedDoor:
    """Hardware with seeded timing: the same seed is the same sequence of people."""

    def __init__(self, seed: str, power: Power = "fail_secure") -> None:
        self.power = power
        self._random = Random(seed)  # noqa: S311 (people, not secrets)
        self._reading = Reading()
        self._is_held = False
        self._on_change: Callable[[Reading], None] = lambda _reading: None
        self._on_exit: Callable[[], None] = lambda: None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self, on_change: Callable[[Reading], None], on_exit: Callable[[], None]) -> None:
        self._on_change, self._on_exit = on_change, on_exit
        self._later(
            "settle",
            SETTLE_SECONDS,
            lambda: self._becomes(
                replace(self._reading, lock="unlocked" if self._is_held else "locked", contact="closed")
            ),
        )

    def pulse(self, pulse_ms: int) -> None:
        if not self._timers and self._reading == Reading():
            raise HardwareError("not started")
        log.info("relay_pulsed", pulse_ms=pulse_ms)
        self._has_lock("unlocked")
        self._later("relock", pulse_ms / 1000, self._relock)
        reaches = min(max(self._random.lognormvariate(-0.2, 0.5), 0.3), 4.0)
        if self._random.random() < COMES_THROUGH and reaches < pulse_ms / 1000:
            self._later("open", reaches, self._opens)

    def unlock(self) -> None:
        log.info("relay_held")
        self._is_held = True
        self._has_lock("unlocked")

    def lock(self) -> None:
        log.info("relay_released")
        self._is_held = False
        self._relock()

    def reading(self) -> Reading:
        return self._reading

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def handle_line(self, line: str) -> None:
        """Handle a line of standard input, such as `exit_button` or `fire on`."""
        match line.split():
            case ["exit_button"]:
                self._on_exit()
                self._later("open", self._random.uniform(0.2, 0.8), self._opens)
            case ["force_open"]:
                self._opens()
            case ["hold_open"]:
                self._becomes(replace(self._reading, contact="open"))
            case ["shut"]:
                self._has_contact("closed")
            case [("fire" | "tamper" | "mains_lost") as name, ("on" | "off") as way]:
                inputs = self._reading.inputs - {name} | ({name} if way == "on" else set())
                self._becomes(replace(self._reading, inputs=frozenset(inputs)))
            case _:
                log.warning(
                    "unknown_line", known="exit_button, force_open, hold_open, shut, fire|tamper|mains_lost on|off"
                )

    def _opens(self) -> None:
        self._has_contact("open")
        self._later("shut", self._random.uniform(1.5, 5.0), lambda: self._has_contact("closed"))

    def _has_contact(self, contact: Contact) -> None:
        self._becomes(replace(self._reading, contact=contact))

    def _has_lock(self, lock: Lock) -> None:
        self._becomes(replace(self._reading, lock=lock))

    def _relock(self) -> None:
        if not self._is_held:
            self._has_lock("locked")

    def _becomes(self, reading: Reading) -> None:
        if reading != self._reading:
            self._reading = reading
            self._on_change(reading)

    def _later(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, work)


class SimulatedReader:
    """A reader that gets cards from lines of standard input."""

    def __init__(self, name: str = "ute", side: Side = "in") -> None:
        self.name = name
        self.side: Side = side
        self._on_shown: Callable[[Presented], None] = lambda _presented: None

    def start(self, on_shown: Callable[[Presented], None], on_condition: Callable[[Condition], None]) -> None:  # noqa: ARG002 (it is always well)
        self._on_shown = on_shown

    def show(self, signal: Signal) -> None:
        log.info("reader_signal", signal=signal)

    def close(self) -> None:
        self._on_shown = lambda _presented: None

    def handle_line(self, line: str) -> bool:
        """Handle `show card:26:12:3456`, `pin 481593` or `qr TEXT`; False for other lines."""
        word, _, rest = line.partition(" ")
        match word:
            case "show":
                self._on_shown(Presented(card=rest))
            case "pin":
                self._on_shown(Presented(pin=rest))
            case "qr":
                self._on_shown(Presented(code=rest))
            case _:
                return False
        return True
