"""Whose a found device is: an account has the hub write only where it may write itself."""

import pytest

from hub.entities.commands import NotAllowedError
from hub.entities.disputes import RESTORE_SECONDS
from hub.hub import Hub
from tests.api_client import actions, browser, program
from tests.conftest import until
from tests.entities.conftest import announce, say

LAMP = "homeassistant/switch/lamp/config"


async def test_commands_of_another_account_are_refused(hub: Hub) -> None:
    await hub.admission.add_gateway("zigbee", ["zigbee2mqtt/#"], "test")
    await hub.admission.add_gateway("reader", ["pump/#"], "test", announces=False)
    for n, topic in enumerate(("pump/on", "Pump/on", "pump//on", "/pump/on", "PUMP/ON")):
        announce(hub, "switch", f"evil{n}", command_topic=topic)
        said = await until(lambda n=n: hub.entities.errors.get(f"homeassistant/switch/evil{n}/config"))
        assert "this is of reader" in said
    good = announce(hub, "switch", "good", command_topic="zigbee2mqtt/lamp/set")
    await until(lambda: hub.entities.get(good))
    nobodys = announce(hub, "switch", "nobodys", command_topic="elsewhere/set")
    await until(lambda: hub.entities.get(nobodys))


async def test_another_account_replaces_nothing(hub: Hub) -> None:
    await hub.admission.add_gateway("zigbee", ["zigbee2mqtt/#"], "test")
    await hub.admission.add_gateway("other", ["other/#"], "test")
    lamp = announce(hub, "switch", "lamp", command_topic="zigbee2mqtt/lamp/set")
    await until(lambda: hub.entities.get(lamp))
    say(hub, "homeassistant/switch/lamp/config", {"unique_id": "lamp", "command_topic": "other/lamp/set"})
    await until(lambda: "whose device it replaces" in hub.entities.errors.get("homeassistant/switch/lamp/config", ""))
    assert hub.entities.get(lamp).config.command_topic == "zigbee2mqtt/lamp/set"  # type: ignore[union-attr]
    announce(hub, "switch", "lamp", command_topic="zigbee2mqtt/lamp/set", name="Lampe")
    await until(lambda: hub.entities.get(lamp).config.name == "Lampe")  # type: ignore[union-attr]


async def test_one_announcement_is_of_one_account(hub: Hub) -> None:
    await hub.admission.add_gateway("zigbee", ["zigbee2mqtt/#"], "test")
    await hub.admission.add_gateway("other", ["other/#"], "test")
    topics = {"command_topic": "zigbee2mqtt/b/set", "set_position_topic": "other/b"}
    announce(hub, "cover", "blind", **topics)
    await until(lambda: "homeassistant/cover/blind/config" in hub.entities.errors)


async def two_gateways(hub: Hub) -> str:
    """Both may announce; one has a lamp with a sensor."""
    await hub.admission.add_gateway("zigbee", ["zigbee2mqtt/#"], "test")
    await hub.admission.add_gateway("other", ["other/#"], "test")
    lamp = announce(hub, "switch", "lamp", command_topic="zigbee2mqtt/lamp/set", dev={"ids": "l", "name": "Lampe"})
    await until(lambda: hub.entities.get(lamp))
    return lamp


async def test_another_account_takes_nothing_away(hub: Hub) -> None:
    """By deleting, by a form that leaves it out, by moving it, or by saying that it moves."""
    lamp = await two_gateways(hub)
    before = hub.entities.get(lamp)
    for payload in ("", {"unique_id": "lamp"}, {"migrate_discovery": True}):
        say(hub, LAMP, payload)
        await until(lambda: LAMP in hub.entities.errors)
        assert hub.entities.get(lamp) is before, payload
        hub.entities.errors.clear()
    moved = {"unique_id": "lamp", "command_topic": "other/lamp/set", "dev": {"ids": "l"}}
    say(hub, "homeassistant/switch/elsewhere/config", moved)
    await until(lambda: "homeassistant/switch/elsewhere/config" in hub.entities.errors)
    assert hub.entities.get(lamp) is before


async def test_a_sensor_is_somebodys_by_what_it_reads(hub: Hub) -> None:
    await two_gateways(hub)
    sensor = announce(hub, "sensor", "heat", stat_t="zigbee2mqtt/heat", unit_of_meas="C")
    found = await until(lambda: hub.entities.get(sensor))
    topic = "homeassistant/sensor/heat/config"
    for payload in ("", {"unique_id": "heat", "stat_t": "other/heat"}):
        say(hub, topic, payload)
        await until(lambda: topic in hub.entities.errors)
        assert hub.entities.get(sensor) is found
        hub.entities.errors.clear()


async def test_where_one_account_announces_it_takes_away_its_own_at_once(hub: Hub) -> None:
    await hub.admission.add_gateway("zigbee", ["zigbee2mqtt/#"], "test")
    await hub.admission.add_gateway("reader", ["pump/#"], "test", announces=False)
    lamp = announce(hub, "switch", "lamp", command_topic="zigbee2mqtt/lamp/set")
    await until(lambda: hub.entities.get(lamp))
    say(hub, LAMP, "")
    await until(lambda: hub.entities.get(lamp) is None)


async def test_what_is_not_believed_is_put_back_once_and_removed_by_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the hub's next start would find nothing; and two that disagree do not fight over it."""
    lamp = await two_gateways(hub)
    put: list[bytes] = []
    assert hub.mqtt.wire is not None
    publish = hub.mqtt.wire.publish

    def noting(topic: str, payload: bytes, **more: object) -> bool:
        if topic == LAMP and more.get("qos"):
            put.append(payload)
        return publish(topic, payload, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(hub.mqtt.wire, "publish", noting)
    for _ in range(5):
        say(hub, LAMP, "")
        await until(lambda: LAMP in hub.entities.errors)
        hub.entities.errors.clear()
    assert len(put) == 1
    assert b"zigbee2mqtt/lamp/set" in put[0]
    hub.entities.disputes.topics[LAMP].restored_at = -RESTORE_SECONDS - 1.0
    await until(lambda: len(put) == 2)

    device = hub.entities.get(lamp).device  # type: ignore[union-attr]
    address = f"{hub.settings.web.address}/found"
    async with browser(hub, "it") as it:
        async with it.get(f"{address}/{device.id}") as page:
            assert 'id="doubted"' in await page.text()
        async with it.post(f"{address}/{device.id}/remove", allow_redirects=False) as answer:
            assert answer.status == 303
    assert hub.entities.get(lamp) is None
    assert put[-1] == b""
    assert ("nokon", "found.removed") in await actions(hub)
    announce(hub, "switch", "lamp", command_topic="zigbee2mqtt/lamp/set")
    await until(lambda: hub.entities.get(lamp))


async def test_what_is_nobodys_takes_no_orders_until_it_allows_it(hub: Hub) -> None:
    await two_gateways(hub)
    nobodys = announce(hub, "switch", "nobodys", command_topic="elsewhere/set", state_topic="zigbee2mqtt/x")
    await until(lambda: hub.entities.get(nobodys))
    with pytest.raises(NotAllowedError, match="no account"):
        await hub.commands.send(nobodys, "on", None, "it")
    device = hub.entities.get(nobodys).device  # type: ignore[union-attr]
    async with browser(hub, "it") as it:
        address = f"{hub.settings.web.address}/found/{device.id}"
        async with it.get(address) as page:
            assert "/allow" in await page.text()
        async with it.post(f"{address}/allow", data={"entity": nobodys, "allowed": "yes"}) as answer:
            assert answer.status == 200
    await hub.commands.send(nobodys, "on", None, "it")
    announce(hub, "switch", "nobodys", command_topic="elsewhere/other", state_topic="zigbee2mqtt/x")
    await until(lambda: hub.entities.get(nobodys).config.command_topic == "elsewhere/other")  # type: ignore[union-attr]
    with pytest.raises(NotAllowedError):
        await hub.commands.send(nobodys, "on", None, "it")


async def test_a_program_takes_away_what_is_gone(hub: Hub) -> None:
    lamp = await two_gateways(hub)
    device = hub.entities.get(lamp).device  # type: ignore[union-attr]
    async with program(hub, "entities:allow") as api:
        assert (await api.delete(f"found-devices/{device.id}", headers={"If-Match": "*"})).status == 204
    assert hub.entities.get(lamp) is None
