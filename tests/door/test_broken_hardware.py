"""A relay that cannot be driven: the command is over, the hub is told, and the next one is tried."""

import asyncio
from pathlib import Path

from devices.contract.enrolment import Enrolment
from devices.door.controller import Controller
from devices.door.hardware.interface import HardwareError
from devices.door.hardware.simulated import SimulatedDoor
from devices.door.identity import Identity
from devices.door.memory.journal import Journal
from tests.door.desk import Desk
from tests.patience import PATIENCE_SECONDS


class Stuck(SimulatedDoor):
    """Fails the first time."""

    tried = 0

    def pulse(self, pulse_ms: int) -> None:
        self.tried += 1
        if self.tried == 1:
            raise HardwareError("relay board does not answer")
        super().pulse(pulse_ms)


async def test_a_relay_that_fails_is_an_outcome(desk: Desk, enrolment: Enrolment, tmp_path: Path) -> None:
    hardware, stop = Stuck("seed"), asyncio.Event()
    controller = Controller(Identity.of(enrolment), hardware, Journal(tmp_path / "state"), is_synchronised=lambda: True)
    running = asyncio.create_task(controller.run(stop))
    await desk.until_ready()
    failed, payload = await desk.open()
    assert (failed.result, failed.reason, failed.lock) == ("refused", "hardware_failed", "locked")
    await desk.until(lambda: desk.events("command_refused", "hardware_failed"))
    desk.say("command", payload)
    await desk.until(lambda: desk.events("command_refused", "replayed"))
    assert hardware.tried == 1
    assert (await desk.open())[0].result == "done"
    stop.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await running


async def test_the_same_seed_is_the_same_people() -> None:
    """What a demo shows today it shows tomorrow."""

    async def first_opening() -> float:
        door, opened = SimulatedDoor("door-1"), asyncio.Event()
        loop = asyncio.get_running_loop()
        door.start(lambda reading: opened.set() if reading.contact == "open" else None, lambda: None)
        begun = loop.time()
        door.pulse(8000)
        async with asyncio.timeout(8):
            await opened.wait()
        door.close()
        return loop.time() - begun

    first, second = await asyncio.gather(first_opening(), first_opening())
    assert abs(first - second) < 0.1
    assert 0.25 < first < 4.5
