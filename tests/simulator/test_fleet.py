"""A fleet against a real hub: everybody is there, visitors register, doors open, discovered devices are found."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from devices.simulator.fleet import Fleet, Plan
from devices.simulator.habits import VISITS_BY_HOUR, Habits
from hub.demo.simulate import make_plan
from hub.hub import Hub
from tests.conftest import running_hub, until, until_async
from tests.patience import PATIENCE_SECONDS
from tests.test_production import command

COUNTS = {"kiosk": 4, "screen": 2, "door": 3}
BUSY = Habits(pace=400, goes_away=False, hour=lambda: 10)


@pytest.fixture
def settings(settings: dict[str, Any], sqlite_url: str) -> dict[str, Any]:
    return settings | {"store": {"url": sqlite_url}}


async def visits_of(hub: Hub) -> set[str]:
    found = await hub.store.read(lambda c: c.exec_driver_sql("SELECT id FROM checkin_visit").scalars().all())
    return set(found)


async def test_a_fleet_lives_with_the_hub(settings: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(settings, tmp_path) as hub:
        path = await make_plan(hub, COUNTS, sensors=24)
        assert oct(path.stat().st_mode)[-3:] == "600"
        plan = Plan.read(path)
        assert await make_plan(hub, COUNTS, sensors=24) == path
        assert Plan.read(path) == plan  # accounts are kept
        fleet = Fleet(plan, 1, BUSY)
        fleet.start()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await fleet.until_connected()
            await until(lambda: all(hub.devices.vitals(one.id).is_alive for one in hub.devices))
            plugin = hub.host.plugins["locks"].instance
            await until(lambda: plugin.states.of("sim-door-1").lock == "locked")
            assert await plugin.locks.pulse("sim-door-1", "test") == "done"
            await until(lambda: fleet.figures()["receipted"] >= 3)
            assert set(fleet.receipted) <= await visits_of(hub)
            components = {entity.component for entity in hub.entities}
            assert {"sensor", "binary_sensor", "lock", "event", "button"} <= components
            assert sum(hub.devices.vitals(one.id).refused for one in hub.devices) == 0
            screen = next(one for one in fleet.devices if one.id == "sim-screen-1")
            await until(lambda: screen.revision)  # type: ignore[attr-defined]

            assert hub.broker is not None
            pid = int((hub.settings.data / "broker" / "mosquitto.pid").read_text())
            os.kill(pid, signal.SIGKILL)
            await until(lambda: fleet.connected() == 0)
            async with asyncio.timeout(40):
                await fleet.until_connected()
            before = len(fleet.receipted)
            await until(lambda: len(fleet.receipted) > before)
            await until_async(lambda: all_kept(fleet, hub))
        finally:
            fleet.stop()


async def all_kept(fleet: Fleet, hub: Hub) -> bool:
    return set(fleet.receipted) <= await visits_of(hub)


def test_the_same_seed_is_the_same_day() -> None:
    habits = Habits(hour=lambda: 9)
    assert [habits.until_visitor(Random(3)) for _ in range(3)] == [habits.until_visitor(Random(3)) for _ in range(3)]
    assert habits.until_visitor(Random(3)) != habits.until_visitor(Random(4))


def test_a_day_has_its_hills_and_a_night() -> None:
    def visitors(hour: int) -> float:
        random, habits = Random(1), Habits(hour=lambda: hour)
        waits = [habits.until_visitor(random) for _ in range(4000)]
        return sum(is_visit for _, is_visit in waits) / sum(seconds for seconds, _ in waits) * 3600

    assert visitors(3) == 0
    assert visitors(10) == pytest.approx(VISITS_BY_HOUR[10], rel=0.15)
    assert visitors(12) < visitors(10)


def test_a_battery_falls_and_is_charged() -> None:
    habits = Habits()
    levels = [habits.battery(100, hours * 3600) for hours in range(24)]
    assert levels[0] == 100
    assert levels[5] < levels[4] < levels[0]
    assert min(levels) >= 15
    assert levels[12] > levels[10]


def test_the_command_makes_the_plan_and_the_program_ends_with_its_parent(config_file: Path, tmp_path: Path) -> None:
    """Without a broker the fleet only knocks; it must end all the same."""
    for wrong, code, why in (("door=-1", 2, "KIND=NUMBER"), ("teapot=1", 1, "nobody can play teapot")):
        bad = command("simulate", "--count", wrong, "--config", config_file)
        assert (bad.returncode, why in bad.stderr) == (code, True), bad.stderr
    (tmp_path / "plan.json").write_text("{")
    assert asyncio.run(ended(tmp_path / "plan.json")) == 2
    (tmp_path / "plan.json").write_text("{}")
    assert asyncio.run(ended(tmp_path / "plan.json")) == 0


async def ended(plan: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devices.simulator", plan, "--exit-with-parent"),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(15):
        return await process.wait()
