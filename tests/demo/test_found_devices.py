"""The demo has devices that are not ours, announced by a program with an account of its own."""

import json
from pathlib import Path

import pytest

from hub.demo.town_hall import Demo, Ports, demo_configuration
from hub.hub import Hub
from tests.conftest import free_port, needs, until

pytestmark = pytest.mark.slow


async def test_a_newcomer_finds_sensors_a_lock_and_a_button(tmp_path: Path) -> None:
    needs("mosquitto")
    ports = Ports(*(free_port() for _ in range(5)))
    hub = Hub(demo_configuration(tmp_path, ports))
    async with hub.running():
        demo = Demo(hub, ports)
        await demo.prepare()
        plan = tmp_path / "devices" / "zigbee2mqtt-plan.json"
        before = plan.read_text()
        await demo.prepare()
        assert plan.read_text() == before  # the account is kept
        assert oct(plan.stat().st_mode)[-3:] == "600"
        account = hub.gateways.get("zigbee2mqtt")
        assert account is not None
        assert account.filters == ("zigbee2mqtt/#",)
        async with demo.companions():
            names = {one["name"] for one in json.loads(before)["gateways"][0]["things"]}
            await until(lambda: {one.name for one in hub.entities.devices.values() if one.available} == names)
            assert len(names) == 6
            lock = next(one for one in hub.entities if one.component == "lock")
            await until(lambda: lock.state == "locked")
            await hub.commands.allow(lock.id, is_allowed=True, actor="ikt")
            await hub.commands.send(lock.id, "unlock", None, "ikt", "a table is fetched")
            await until(lambda: lock.state == "unlocked")
        await until(lambda: not any(one.available for one in hub.entities.devices.values()))
