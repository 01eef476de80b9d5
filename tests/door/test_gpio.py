"""The pins of a Raspberry Pi, played by gpiozero's mock factory."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from devices.door.gpio import GpioDoor, Pins
from devices.door.hardware.interface import HardwareError, Reading
from tests.patience import PATIENCE_SECONDS

gpiozero = pytest.importorskip("gpiozero")
mock = pytest.importorskip("gpiozero.pins.mock")


@pytest.fixture
def factory() -> Iterator[object]:
    factory = mock.MockFactory()
    yield factory
    factory.reset()
    factory.close()


class Told:
    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.exits = 0

    def exit(self) -> None:
        self.exits += 1


async def until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """The pins have no loop to wait on: their threads are asked."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def started(factory: object, **pins: object) -> tuple[GpioDoor, Told]:
    door, told = GpioDoor(Pins(power="fail_secure", bounce_ms=0, **pins), factory), Told()
    door.start(told.readings.append, told.exit)
    return door, told


async def test_a_pulse_moves_the_relay_at_once_and_ends_by_itself(factory) -> None:
    relay = factory.pin(17)
    door, told = await started(factory)
    assert relay.state == 0
    factory.pin(27).drive_low()
    await until(lambda: told.readings == [Reading("locked", "closed")])
    begun = time.monotonic()
    door.pulse(200)
    assert relay.state == 1
    assert told.readings[-1] == Reading("unlocked", "closed")
    time.sleep(0.3)  # noqa: ASYNC251 (a loop that is stuck must not hold the door open)
    assert relay.state == 0
    await until(lambda: told.readings[-1].lock == "locked")
    assert time.monotonic() - begun < 1
    door.close()


async def test_a_second_pulse_begins_the_time_anew(factory) -> None:
    relay = factory.pin(17)
    door, _ = await started(factory)
    door.pulse(150)
    await asyncio.sleep(0.1)
    door.pulse(400)
    await asyncio.sleep(0.2)
    assert relay.state == 1
    await until(lambda: relay.state == 0)
    door.close()


async def test_the_state_is_unknown_until_it_has_settled(factory) -> None:
    door, told = await started(factory)
    assert door.reading() == Reading("unknown", "unknown")
    await until(lambda: told.readings)
    assert told.readings[0].lock == "locked"
    door.close()


async def test_contact_and_exit_button(factory) -> None:
    contact, button = factory.pin(27), factory.pin(22)
    door, told = await started(factory)
    contact.drive_low()
    await until(lambda: told.readings == [Reading("locked", "closed")])
    contact.drive_high()
    await until(lambda: told.readings[-1] == Reading("locked", "open"))
    button.drive_low()
    await until(lambda: told.exits == 1)
    assert factory.pin(17).state == 0  # only seen: the button is wired to the lock, not to us
    door.close()


async def test_a_contact_that_is_at_ground_while_open(factory) -> None:
    door, told = await started(factory, contact_closed_to_ground=False)
    factory.pin(27).drive_low()
    await until(lambda: told.readings == [Reading("locked", "open")])
    door.close()


async def test_a_relay_that_pulls_at_a_low_level_is_idle_at_start(factory) -> None:
    relay = factory.pin(17)
    door, _ = await started(factory, relay_active_high=False)
    assert relay.state == 1
    door.pulse(50)
    assert relay.state == 0
    await until(lambda: relay.state == 1)
    door.close()


async def test_a_door_without_contact_and_button(factory) -> None:
    door, told = await started(factory, contact=None, exit_button=None)
    await until(lambda: told.readings == [Reading("locked", "unknown")])
    door.close()


async def test_closing_during_a_pulse_lets_go(factory) -> None:
    relay = factory.pin(17)
    door, _ = await started(factory)
    door.pulse(30_000)
    door.close()
    assert relay.function == "input"
    with pytest.raises(HardwareError):
        door.pulse(100)


async def test_a_pin_that_cannot_be_had_says_so(factory) -> None:
    with pytest.raises(HardwareError):
        await started(factory, relay="GPIO999")
    first, _ = await started(factory)
    with pytest.raises(HardwareError):
        await started(factory)  # in use
    first.close()


def test_the_pins_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pins.json"
    path.write_text(json.dumps({"power": "fail_secure", "relay": "GPIO5", "contact": None}))
    assert Pins.read(path) == Pins(power="fail_secure", relay="GPIO5", contact=None)
    path.write_text(json.dumps({"relay": 5}))
    with pytest.raises(ValidationError, match="power"):  # what happens without power must have been thought of
        Pins.read(path)
    path.write_text(json.dumps({"power": "fail_safe", "relais": 5}))
    with pytest.raises(ValidationError, match="relais"):
        Pins.read(path)
