"""A door that exists only here: people push it when the lock lets go, and it falls shut behind them."""

import asyncio
from collections.abc import Callable
from random import Random

import structlog

from devices.contract.door import Contact
from devices.door.hardware import HardwareError, Reading

log = structlog.get_logger("door.simulated")

SETTLE_SECONDS = 0.2
COMES_THROUGH = 0.93
"""Somebody now and then opens a door for nobody."""


class SimulatedDoor:
    """Hardware with seeded timing: the same seed is the same sequence of people."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)  # noqa: S311 (people, not secrets)
        self._reading = Reading()
        self._on_change: Callable[[Reading], None] = lambda _reading: None
        self._on_exit: Callable[[], None] = lambda: None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self, on_change: Callable[[Reading], None], on_exit: Callable[[], None]) -> None:
        self._on_change, self._on_exit = on_change, on_exit
        self._later("settle", SETTLE_SECONDS, lambda: self._becomes(Reading("locked", "closed")))

    def pulse(self, pulse_ms: int) -> None:
        if not self._timers and self._reading == Reading():
            raise HardwareError("not started")
        log.info("relay_pulsed", pulse_ms=pulse_ms)
        self._becomes(Reading("unlocked", self._reading.contact))
        self._later("relock", pulse_ms / 1000, lambda: self._becomes(Reading("locked", self._reading.contact)))
        reaches = min(max(self._random.lognormvariate(-0.2, 0.5), 0.3), 4.0)
        if self._random.random() < COMES_THROUGH and reaches < pulse_ms / 1000:
            self._later("open", reaches, self._opens)

    def reading(self) -> Reading:
        return self._reading

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def told(self, line: str) -> None:
        """A hand on the simulated door, by words on standard input: `exit_button`, `force_open`."""
        match line:
            case "exit_button":
                self._on_exit()
                self._later("open", self._random.uniform(0.2, 0.8), self._opens)
            case "force_open":
                self._opens()
            case _:
                log.warning("unknown_word", known="exit_button, force_open")

    def _opens(self) -> None:
        self._becomes(Reading(self._reading.lock, "open"))
        self._later("shut", self._random.uniform(1.5, 5.0), lambda: self._has_contact("closed"))

    def _has_contact(self, contact: Contact) -> None:
        self._becomes(Reading(self._reading.lock, contact))

    def _becomes(self, reading: Reading) -> None:
        if reading != self._reading:
            self._reading = reading
            self._on_change(reading)

    def _later(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, work)
