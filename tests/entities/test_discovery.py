"""Devices announce themselves through a real broker, and are there: both forms, their updates, and their end."""

import asyncio

import pytest

from hub.entities.entity import Entity
from hub.hub import Hub
from tests.conftest import until
from tests.entities.conftest import announce, say

ZIGBEE_DEVICE = {
    "identifiers": ["zigbee2mqtt_0x00158d0001"],
    "name": "Bakdør",
    "model": "Door and window sensor (MCCGQ11LM)",
    "manufacturer": "Aqara",
    "sw_version": "3000-0001",
    "via_device": "zigbee2mqtt_bridge_0x00124b",
}
ZIGBEE_ORIGIN = {"name": "Zigbee2MQTT", "sw": "2.1.0", "url": "https://www.zigbee2mqtt.io"}
ZIGBEE_AVAILABILITY = [
    {"topic": "zigbee2mqtt/bridge/state", "value_template": "{{ value_json.state }}"},
    {"topic": "zigbee2mqtt/Bakdør/availability", "value_template": "{{ value_json.state }}"},
]
CONTACT = {
    "availability": ZIGBEE_AVAILABILITY,
    "availability_mode": "all",
    "device": ZIGBEE_DEVICE,
    "device_class": "door",
    "name": None,
    "object_id": "bakdør_contact",
    "origin": ZIGBEE_ORIGIN,
    "payload_off": True,
    "payload_on": False,
    "state_topic": "zigbee2mqtt/Bakdør",
    "unique_id": "0x00158d0001_contact_zigbee2mqtt",
    "value_template": "{{ value_json.contact }}",
}
BATTERY = {
    "availability": ZIGBEE_AVAILABILITY,
    "availability_mode": "all",
    "device": ZIGBEE_DEVICE,
    "device_class": "battery",
    "enabled_by_default": True,
    "entity_category": "diagnostic",
    "origin": ZIGBEE_ORIGIN,
    "state_class": "measurement",
    "state_topic": "zigbee2mqtt/Bakdør",
    "unique_id": "0x00158d0001_battery_zigbee2mqtt",
    "unit_of_measurement": "%",
    "value_template": "{{ value_json.battery }}",
}
ESPHOME_LOCK = {
    "name": "Port",
    "ret": False,
    "stat_t": "port/lock/port/state",
    "cmd_t": "port/lock/port/command",
    "avty_t": "port/status",
    "uniq_id": "ESPlockport",
    "dev": {
        "ids": "a4cf12b5d1e0",
        "name": "port",
        "sw": "2026.10.1",
        "mdl": "esp32dev",
        "mf": "Espressif",
        "sa": "Bakgard",
    },
}
TASMOTA_BASE = {
    "~": "tasmota_B1F2",
    "name": "Lys",
    "stat_t": "~/stat/POWER",
    "cmd_t": "~/cmnd/POWER",
    "uniq_id": "B1F2_RL_1",
}


async def entity(hub: Hub, entity_id: str) -> Entity:
    found = await until(lambda: hub.entities.get(entity_id))
    assert isinstance(found, Entity)
    return found


@pytest.mark.alone  # it measures time
async def test_a_zigbee_sensor_is_there_with_its_state(hub: Hub) -> None:
    say(hub, "zigbee2mqtt/bridge/state", {"state": "online"})
    say(hub, "zigbee2mqtt/Bakdør/availability", {"state": "online"})
    say(hub, "zigbee2mqtt/Bakdør", {"battery": 87, "contact": False, "linkquality": 120})
    say(hub, "homeassistant/binary_sensor/0x00158d0001/contact/config", CONTACT)
    say(hub, "homeassistant/sensor/0x00158d0001/battery/config", BATTERY)

    contact = await until(lambda: hub.entities.get("binary_sensor.0x00158d0001_contact_zigbee2mqtt"))
    battery = await entity(hub, "sensor.0x00158d0001_battery_zigbee2mqtt")
    await until(lambda: contact.state == "on" and battery.state == 87)

    assert contact.device is battery.device
    assert (contact.device.name, contact.name, battery.name) == ("Bakdør", "Door", "Battery")
    say(hub, "zigbee2mqtt/Bakdør/availability", {"state": "offline"})
    await until(lambda: not contact.available)
    assert contact.state is None, "what an absent device last said is not its state"
    assert contact.value == "on"


async def test_short_names_and_base_topics(hub: Hub) -> None:
    say(hub, "homeassistant/lock/port/port/config", ESPHOME_LOCK)
    say(hub, "homeassistant/switch/B1F2_RL_1/config", TASMOTA_BASE)
    lock, switch = await entity(hub, "lock.esplockport"), await entity(hub, "switch.b1f2_rl_1")
    assert lock.state is None, "unknown, and not locked because nobody said otherwise"
    say(hub, "port/status", "online")
    say(hub, "port/lock/port/state", "LOCKED")
    say(hub, "tasmota_B1F2/stat/POWER", "ON", retain=False)
    await until(lambda: lock.state == "locked" and switch.state == "on")
    assert lock.device.maker is not None
    assert lock.device.maker.suggested_area == "Bakgard"


async def test_a_device_announces_all_it_has_at_once(hub: Hub) -> None:
    device = {
        "dev": {"ids": ["bla01"], "name": "Møterom 2", "mf": "Bla", "sn": "ea33"},
        "o": {"name": "bla2mqtt", "sw": "2.1"},
        "cmps": {
            "t": {
                "p": "sensor",
                "dev_cla": "temperature",
                "unit_of_meas": "°C",
                "val_tpl": "{{ value_json.t }}",
                "uniq_id": "bla01_t",
            },
            "h": {
                "p": "sensor",
                "dev_cla": "humidity",
                "unit_of_meas": "%",
                "val_tpl": "{{ value_json.h }}",
                "uniq_id": "bla01_h",
            },
            "b": {
                "p": "device_automation",
                "atype": "trigger",
                "t": "bla/knapp",
                "type": "button_short_press",
                "stype": "button_1",
            },
        },
        "stat_t": "bla/state",
        "qos": 2,
    }
    say(hub, "homeassistant/device/bla01/config", device)
    temperature, humidity = await entity(hub, "sensor.bla01_t"), await entity(hub, "sensor.bla01_h")
    button = await entity(hub, "device_automation.bla01_b")
    say(hub, "bla/state", {"t": 21.5, "h": 40}, retain=False)
    await until(lambda: (temperature.state, humidity.state) == (21.5, 40))
    assert temperature.device is button.device

    watcher = hub.entities.watch("device_automation")
    say(hub, "bla/knapp", "trykt", retain=False)
    assert [change.value for change in await watcher.changes()] == ["button_short_press button_1"]
    hub.entities.unwatch(watcher)

    device["cmps"]["h"] = {"p": "sensor"}  # gone, said with no more than its kind
    del device["cmps"]["b"]  # gone, not said any more
    say(hub, "homeassistant/device/bla01/config", device)
    await until(lambda: hub.entities.get("sensor.bla01_h") is None)
    assert hub.entities.get("device_automation.bla01_b") is None
    assert hub.entities.get("sensor.bla01_t") is temperature

    say(hub, "homeassistant/device/bla01/config", "")
    await until(lambda: not hub.entities.devices)
    assert len(hub.entities) == 0


async def test_a_device_changes_form_and_keeps_its_state(hub: Hub) -> None:
    sensor = {"stat_t": "f/s", "uniq_id": "f1", "dev": {"ids": ["f"], "name": "Fjøs"}, "o": {"name": "f"}}
    say(hub, "homeassistant/sensor/f/one/config", sensor)
    first = await entity(hub, "sensor.f1")
    say(hub, "f/s", "mild", retain=False)
    await until(lambda: first.state == "mild")

    say(hub, "homeassistant/sensor/f/one/config", {"migrate_discovery": True})
    whole = {"dev": sensor["dev"], "o": sensor["o"], "cmps": {"one": {"p": "sensor", "stat_t": "f/s", "uniq_id": "f1"}}}
    say(hub, "homeassistant/device/f/config", whole)
    await until(lambda: (found := hub.entities.get("sensor.f1")) and found.place[0] == "homeassistant/device/f/config")
    say(hub, "homeassistant/sensor/f/one/config", "")
    say(hub, "homeassistant/sensor/last/config", {"stat_t": "l", "uniq_id": "last"})
    await entity(hub, "sensor.last")
    found = hub.entities.get("sensor.f1")
    assert found is not None
    assert found.state == "mild"
    say(hub, "f/s", "kaldt", retain=False)
    await until(lambda: found.state == "kaldt")


async def test_a_device_that_just_says_it_by_another_topic_is_the_same(hub: Hub) -> None:
    sensor = {"stat_t": "f/s", "uniq_id": "f1", "dev": {"ids": ["f"], "name": "Fjøs"}, "o": {"name": "f"}}
    say(hub, "homeassistant/sensor/old/config", sensor)
    await entity(hub, "sensor.f1")
    say(hub, "f/s", "mild", retain=False)
    await until(lambda: (found := hub.entities.get("sensor.f1")) and found.state == "mild")
    say(hub, "homeassistant/sensor/new/config", sensor)
    say(hub, "homeassistant/sensor/old/config", "")
    say(hub, "homeassistant/sensor/last/config", {"stat_t": "l", "uniq_id": "last"})
    await entity(hub, "sensor.last")
    found = hub.entities.get("sensor.f1")
    assert found is not None
    assert (found.place[0], found.state) == ("homeassistant/sensor/new/config", "mild")


async def test_availability_modes(hub: Hub) -> None:
    for mode, one, both in (("all", False, True), ("any", True, True), ("latest", False, True)):
        sources = [{"t": f"{mode}/1", "pl_avail": "up", "pl_not_avail": "down"}, {"t": f"{mode}/2"}]
        found = await entity(hub, announce(hub, "sensor", mode, stat_t=f"{mode}/s", avty=sources, avty_mode=mode))
        assert not found.available
        say(hub, f"{mode}/s", "x", retain=False)
        say(hub, f"{mode}/1", "up", retain=False)
        say(hub, f"{mode}/2", "offline", retain=False)
        say(hub, f"{mode}/s", "y", retain=False)
        await until(lambda found=found: found.value == "y")
        assert found.available == one, mode
        say(hub, f"{mode}/2", "online", retain=False)
        await until(lambda found=found, both=both: found.available == both)
        assert found.state == "y"


async def test_values_expire_and_switch_off(hub: Hub) -> None:
    sensor = await entity(hub, announce(hub, "sensor", "e", stat_t="e/s", exp_aft=1))
    motion = await entity(hub, announce(hub, "binary_sensor", "m", stat_t="e/m", off_dly=1))
    say(hub, "e/s", "4", retain=False)
    say(hub, "e/m", "ON", retain=False)
    await until(lambda: sensor.state == "4" and motion.state == "on")
    await until(lambda: sensor.state is None and motion.state == "off")


async def test_attributes_come_by_a_topic_of_their_own(hub: Hub) -> None:
    found = await entity(
        hub, announce(hub, "sensor", "a", stat_t="a/s", json_attr_t="a/j", json_attr_tpl="{{ value_json.data|tojson }}")
    )
    say(hub, "a/j", {"data": {"rssi": -60}})
    await until(lambda: found.attributes == {"rssi": -60})


BAD = [
    ("sensor/x/config", "{", "sensor/x/config: expected JSON"),
    ("sensor/x/config", "[]", "sensor/x/config: expected a JSON object (found list)"),
    ("sensor/x/config", {"name": "x"}, "sensor/x/config: state_topic: field required"),
    ("lock/x/config", {"cmd_t": "a/+"}, "lock/x/config: command_topic: is published to"),
    ("sensor/x/config", {"stat_t": "a", "val_tpl": "{% if"}, "value_template: is no template that may run here"),
    ("sensor/x/config", {"stat_t": "a", "qos": 7}, "qos: input should be less than or equal to 2 (found int)"),
    ("sensor/x/config", {"stat_t": "a", "dev": {"name": "x"}}, "device: expected identifiers or connections"),
    ("sensor/x/config", {"stat_t": "a", "avty": [{}]}, "availability.0.topic: field required"),
    ("device/x/config", {"o": {}, "cmps": {}}, "device: expected an object (found nothing)"),
    ("sensor/ø/config", {"stat_t": "a"}, "expected homeassistant/<component>/[<node>/]<object>/config"),
    (
        "sensor/x/config",
        {"stat_t": "kommunevert/test/kiosk/kiosk-1/up/visit"},
        "expected a topic outside kommunevert/",
    ),
    ("sensor/x/config", {"stat_t": "#"}, "expected a topic outside kommunevert/"),
    ("sensor/x/config", {"stat_t": "+/test/kiosk/kiosk-1/up/visit"}, "expected a topic outside kommunevert/"),
    (
        "switch/x/config",
        {"cmd_t": "kommunevert/test/door/d/down/command"},
        "command_topic: expected a topic outside",
    ),
    ("sensor/x/config", {"stat_t": "a", "avty": {"t": "kommunevert/x"}}, "availability: expected a topic outside"),
    ("switch/x/config", {"cmd_t": "kommunevert-shown/test/door-1/set/lock"}, "command_topic: expected a topic outside"),
    ("switch/x/config", {"cmd_t": "homeassistant/lock/y/config"}, "command_topic: expected a topic outside"),
    ("sensor/x/config", {"stat_t": "homeassistant/+/+/config"}, "state_topic: expected a topic outside"),
    ("sensor/x/config", {"stat_t": "$share/a/b"}, "state_topic: expected a topic outside"),
    ("sensor/x/config", {"stat_t": "a", "val_tpl": "{% for i in x %}" * 25 + "{% endfor %}" * 25}, "is no template"),
    ("sensor/x/config", {"stat_t": "a", "val_tpl": "{% macro f() %}{% endmacro %}"}, "Macro is not allowed here"),
    ("button/x/config", {"cmd_t": "$CONTROL/dynamic-security/v1"}, "command_topic: expected a topic outside"),
]


async def test_a_bad_announcement_says_which_key_and_hurts_nothing_else(hub: Hub) -> None:
    good = await entity(hub, announce(hub, "sensor", "good", stat_t="g"))
    for topic, payload, what in BAD:
        say(hub, f"homeassistant/{topic}", payload)
        await until(lambda topic=topic: f"homeassistant/{topic}" in hub.entities.errors)
        assert what in hub.entities.errors.pop(f"homeassistant/{topic}")
        assert list(hub.entities) == [good]


async def test_one_wrong_component_does_not_take_its_device_along(hub: Hub) -> None:
    device = {
        "dev": {"ids": "d", "name": "D"},
        "o": {"name": "d"},
        "cmps": {"a": {"p": "sensor", "stat_t": "a", "uniq_id": "a"}, "b": {"p": "sensor", "uniq_id": "b"}},
    }
    say(hub, "homeassistant/device/d/config", device)
    await entity(hub, "sensor.a")
    assert hub.entities.errors == {
        "homeassistant/device/d/config": "homeassistant/device/d/config: components.b.state_topic: field required"
    }
    device["cmps"]["b"]["stat_t"] = "b"
    say(hub, "homeassistant/device/d/config", device)
    await entity(hub, "sensor.b")
    assert hub.entities.errors == {}


async def test_another_devices_name_cannot_be_taken(hub: Hub) -> None:
    mine = await entity(hub, announce(hub, "lock", "l", cmd_t="l/set", stat_t="l/s", dev={"ids": "mine"}))
    say(
        hub,
        "homeassistant/lock/evil/config",
        {"uniq_id": "l", "cmd_t": "e/set", "stat_t": "e/s", "dev": {"ids": "evil"}},
    )
    await until(lambda: hub.entities.errors)
    assert hub.entities.get("lock.l") is mine
    assert "unique_id: expected one of its own" in hub.entities.errors["homeassistant/lock/evil/config"]


async def test_what_we_do_not_support_is_shown_and_no_error(hub: Hub) -> None:
    found = await entity(hub, announce(hub, "climate", "c", name="Varmepumpe", mode_cmd_t="c/set"))
    assert (found.name, found.state, hub.entities.errors) == ("Varmepumpe", None, {})


async def test_a_message_that_cannot_be_read_is_told_once_and_never_quoted(hub: Hub) -> None:
    found = await entity(hub, announce(hub, "sensor", "s", stat_t="s/s", unit_of_meas="%"))
    say(hub, "s/s", "hemmeleg", retain=False)
    await until(lambda: found.problem)
    assert found.problem == "expected a number"
    say(hub, "s/s", b"\xff\xfe", retain=False)
    await until(lambda: found.problem == "expected UTF-8 text")
    say(hub, "s/s", "7", retain=False)
    await until(lambda: found.state == 7)
    assert found.problem is None


async def test_what_was_kept_of_a_press_is_no_press(hub: Hub) -> None:
    say(hub, "p/e", {"event_type": "press"})  # retained, as some devices do
    watcher = hub.entities.watch("event")
    found = await entity(hub, announce(hub, "event", "p", stat_t="p/e", evt_typ=["press", "hold"]))
    say(hub, "p/e", {"event_type": "hold", "times": 2}, retain=False)
    assert [change.value for change in await watcher.changes()] == ["hold"]
    assert found.attributes == {"times": 2}
    hub.entities.unwatch(watcher)


async def test_the_hub_says_that_it_is_there(hub: Hub) -> None:
    wire = hub.mqtt.wire
    assert wire is not None
    heard: list[bytes] = []
    passed_on = hub.entities.on_message

    def take(received):  # type: ignore[no-untyped-def]
        if received.topic == "homeassistant/status":
            heard.append(received.payload)
        passed_on(received)

    hub.mqtt._on_other_topic = take
    wire.subscribe("homeassistant/status")
    hub.entities.on_connected()
    await until(lambda: heard == [b"online"])


async def test_nothing_that_is_sent_makes_the_hub_deaf(hub: Hub) -> None:
    """Whatever a message is, it is acknowledged: a broker that waits for 2000 of them sends no more."""
    cover = await entity(hub, announce(hub, "cover", "c", cmd_t="c/set", pos_t="c/p"))
    deep = await entity(hub, announce(hub, "sensor", "d", stat_t="d/s", val_tpl="{{ value_json.a }}"))
    acknowledged: list[str] = []
    wire = hub.mqtt.wire
    assert wire is not None
    acknowledge = wire.acknowledge
    wire.acknowledge = lambda received: (acknowledged.append(received.topic), acknowledge(received))[1]  # type: ignore[method-assign]
    say(hub, "c/p", "1e308", retain=False)
    say(hub, "d/s", '{"a":' + "[" * 1000 + "]" * 1000 + "}", retain=False)
    lost = await entity(hub, announce(hub, "sensor", "lost", stat_t="n/s", val_tpl="{{ value_json.a }}"))
    say(hub, "n/s", '{"a":' + "[" * 9000 + "NaN" + "]" * 9000 + "}", retain=False)
    say(hub, "homeassistant/sensor/deep/config", '{"components":' * 900 + "{}" + "}" * 900, retain=False)
    say(hub, "homeassistant/config", "x", retain=False)
    say(hub, "homeassistant/x/config", b"\xff", retain=False)
    await entity(hub, announce(hub, "sensor", "last", stat_t="l"))
    assert cover.attributes["position"] == 100
    assert "more than 64" in (deep.problem or "")
    assert lost.problem is not None
    assert "at most 64" in hub.entities.errors["homeassistant/sensor/deep/config"]
    del wire.acknowledge  # type: ignore[attr-defined]


@pytest.mark.alone  # it measures time
async def test_a_topic_whose_messages_cost_too_much_rests(hub: Hub) -> None:
    slow = "{% for i in range(9000) %}{% endfor %}{{ value_json }}"
    for number in range(60):
        announce(hub, "sensor", f"s{number}", stat_t="s/s", val_tpl=slow + " " * number)
    await until(lambda: len(hub.entities) == 60)
    loop = asyncio.get_running_loop()
    worst = 0.0
    for _ in range(20):
        say(hub, "s/s", "1", retain=False)
        began = loop.time()
        await asyncio.sleep(0.01)
        worst = max(worst, loop.time() - began)
    group = hub.entities._topics.group("s/s")
    assert group is not None
    await until(lambda: group.resting_until > 0)
    assert worst < 0.5
    assert any(one.problem for one in hub.entities)
