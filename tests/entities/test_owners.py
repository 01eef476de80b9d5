"""Whose a found device is: an account has the hub write only where it may write itself."""

from hub.hub import Hub
from tests.conftest import until
from tests.entities.conftest import announce, say


async def test_commands_of_another_account_are_refused(hub: Hub) -> None:
    await hub.admission.add_gateway("zigbee", ["zigbee2mqtt/#"], "test")
    await hub.admission.add_gateway("reader", ["pump/#"], "test", announces=False)
    for n, topic in enumerate(("pump/on", "Pump/on", "pump//on", "/pump/on", "PUMP/ON")):
        announce(hub, "switch", f"evil{n}", command_topic=topic)
        said = await until(lambda n=n: hub.entities.mistakes.get(f"homeassistant/switch/evil{n}/config"))
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
    await until(lambda: "whose device it replaces" in hub.entities.mistakes.get("homeassistant/switch/lamp/config", ""))
    assert hub.entities.get(lamp).config.command_topic == "zigbee2mqtt/lamp/set"  # type: ignore[union-attr]
    announce(hub, "switch", "lamp", command_topic="zigbee2mqtt/lamp/set", name="Lampe")
    await until(lambda: hub.entities.get(lamp).config.name == "Lampe")  # type: ignore[union-attr]


async def test_one_announcement_is_of_one_account(hub: Hub) -> None:
    await hub.admission.add_gateway("zigbee", ["zigbee2mqtt/#"], "test")
    await hub.admission.add_gateway("other", ["other/#"], "test")
    topics = {"command_topic": "zigbee2mqtt/b/set", "set_position_topic": "other/b"}
    announce(hub, "cover", "blind", **topics)
    await until(lambda: "homeassistant/cover/blind/config" in hub.entities.mistakes)
