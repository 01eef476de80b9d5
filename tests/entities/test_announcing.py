"""Our own devices, as a Home Assistant on the same broker sees them, and what it may tell them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from devices.contract.door import KIND as DOOR
from hub.entities.discovery import read
from hub.hub import Hub
from hub.store.tables import audit as audit_table
from tests.conftest import running_hub, until, until_async
from tests.door.door_process import DoorProcess
from tests.entities.conftest import say

SCREEN_CONFIG = "homeassistant/switch/kommunevert_test_screen-1/power/config"
STATE = "kommunevert-shown/test/{}/state"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    settings["discovery"] = {"announce": True, "orders_as": ["caretaker"]}
    return settings


@pytest_asyncio.fixture
async def seen(hub: Hub) -> dict[str, bytes]:
    """What the broker carries for the other system: topic → the newest payload."""
    heard: dict[str, bytes] = {}
    passed_on = hub.mqtt._on_other_topic

    def take(received):  # type: ignore[no-untyped-def]
        heard[received.topic] = received.payload
        passed_on(received)

    hub.mqtt._on_other_topic = take
    assert hub.mqtt.wire is not None
    for what in ("state", "available"):  # not the orders: the broker delivers once for each filter that matches
        hub.mqtt.wire.subscribe(f"kommunevert-shown/+/+/{what}")
    hub.mqtt.wire.subscribe("homeassistant/#")
    return heard


@pytest_asyncio.fixture
async def door(hub: Hub, tmp_path: Path) -> AsyncIterator[DoorProcess]:
    (tmp_path / "door-1").mkdir()
    process = DoorProcess(
        tmp_path / "door-1", await hub.enroller.enrol("door-1", DOOR, "Hovudinngang", "1. etasje", "test")
    )
    await process.start()
    plugin = hub.host.plugins["locks"].instance
    await until(lambda: plugin.states.of("door-1").lock == "locked")
    yield process
    await process.stop()


def state_of(seen: dict[str, bytes], device: str) -> dict[str, Any]:
    return json.loads(seen.get(STATE.format(device), b"{}"))


async def test_a_door_is_a_lock_that_can_be_opened_by_the_full_exchange(
    hub: Hub, seen: dict[str, bytes], door: DoorProcess
) -> None:
    await until(lambda: state_of(seen, "door-1").get("lock") == "LOCKED")
    announced = {topic.split("/")[3]: topic for topic in seen if "/kommunevert_test_door-1/" in topic}
    assert set(announced) == {"last_seen", "out_of_order", "lock", "contact"}
    for topic in announced.values():
        found = read("homeassistant", topic, seen[topic])
        assert found is not None
        assert [one.config is not None for one in found.components] == [True]
    assert seen["kommunevert-shown/test/door-1/available"] == b"online"
    assert not hub.entities.devices, "our own devices are not found devices"

    say(hub, "kommunevert-shown/test/door-1/set/lock", "UNLOCK", retain=False)
    await until(lambda: door.pulses() == 1)
    actions = await until_async(lambda: audited(hub, "Home Assistant"))
    assert actions[0][0] == "door.intent"


async def test_what_the_broker_had_kept_opens_nothing(hub: Hub, seen: dict[str, bytes], door: DoorProcess) -> None:
    await until(lambda: state_of(seen, "door-1").get("lock") == "LOCKED")
    say(hub, "kommunevert-shown/test/door-1/set/lock", "UNLOCK", retain=True)
    assert hub.mqtt.wire is not None
    await until(lambda: door.pulses() == 1)  # the one that was not kept: it came as a fresh message
    hub.mqtt.wire.subscribe("kommunevert-shown/test/+/set/+")  # and now from what the broker has kept
    say(hub, "kommunevert-shown/test/door-1/set/unknown", "x", retain=False)
    await until_async(lambda: audited(hub, "Home Assistant", "order.refused"))
    assert door.pulses() == 1
    say(hub, "kommunevert-shown/test/door-1/set/lock", "", retain=True)


async def test_a_screen_is_switched_off_and_on_from_there(hub: Hub, seen: dict[str, bytes]) -> None:
    await hub.enroller.enrol("screen-1", "screen", "Storskjerm", "Inngang", "test")
    await until(lambda: state_of(seen, "screen-1").get("power") == "ON")
    say(hub, "kommunevert-shown/test/screen-1/set/power", "OFF", retain=False)
    signage = hub.host.plugins["signage"].instance.signage
    await until(lambda: "screen-1" in signage.off)
    await until(lambda: state_of(seen, "screen-1") | {"power": "OFF"} == state_of(seen, "screen-1"))
    assert state_of(seen, "screen-1")["plays"] is None
    say(hub, "kommunevert-shown/test/screen-1/set/power", "ON", retain=False)
    await until(lambda: "screen-1" not in signage.off)

    await hub.enroller.revoke("screen-1", "test")
    await until(lambda: seen.get(SCREEN_CONFIG) == b"")


async def test_a_role_that_may_not_open_doors_opens_none(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["discovery"]["orders_as"] = ["it"]
    settings["plugins"]["locks"] = {"may": [{"role": "caretaker", "verbs": ["pulse"]}]}
    async with running_hub(settings, tmp_path) as hub:
        await hub.enroller.enrol("door-1", DOOR, "Hovudinngang", "", "test")
        await until(lambda: "door-1" in hub.announcing._mirrored)
        say(hub, "kommunevert-shown/test/door-1/set/lock", "UNLOCK", retain=False)
        refused = await until_async(lambda: audited(hub, "Home Assistant", "order.refused"))
        assert refused == [("order.refused", "door-1", {"key": "lock", "why": "its role may not"})]


async def test_nothing_is_shown_where_nobody_asked_for_it_and_what_was_is_taken_back(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    del settings["discovery"]
    async with running_hub(settings, tmp_path) as hub:
        await hub.enroller.enrol("screen-1", "screen", "Storskjerm", "Inngang", "test")
        seen: list[bytes] = []
        saw = hub.entities.on_own_announcement
        hub.entities.on_own_announcement = lambda topic, raw: (seen.append(raw), saw(topic, raw))[1]
        say(hub, SCREEN_CONFIG, {"device": {"ids": "x"}, "o": {"name": "Kommunevert"}, "cmps": {}})
        await until(lambda: len(seen) == 2)
        assert seen[1] == b"", "an announcement from before is taken back"
        assert hub.announcing._published == {}


async def audited(hub: Hub, actor: str, action: str = "") -> list[tuple[str, str, dict[str, Any]]]:
    query = select(audit_table).where(audit_table.c.actor == actor, audit_table.c.action.startswith(action))
    rows = await hub.store.read(lambda connection: connection.execute(query).all())
    return [(row.action, row.subject, json.loads(row.details)) for row in rows]
