"""Telling found devices something: the message each component gets, and who may."""

import json

import pytest
from sqlalchemy import select

from hub.entities.commands import NotAllowedError, UnknownEntityError, UnreachableError
from hub.entities.configs import checked
from hub.entities.entity import Entity, FoundDevice
from hub.entities.orders import OrderError, order, verbs
from hub.hub import Hub
from hub.store import audit
from hub.store.tables import audit as audit_table
from tests.conftest import until
from tests.entities.conftest import announce, say


def entity(component: str, **config: object) -> Entity:
    return Entity(
        f"{component}.x",
        component,
        ("t", ""),
        checked(component, {"command_topic": "x/set"} | config),
        FoundDevice("d", "D"),
    )


@pytest.mark.parametrize(
    ("component", "config", "verb", "value", "payload", "assumed"),
    [
        ("lock", {}, "unlock", None, "UNLOCK", "unlocked"),
        ("lock", {"payload_lock": "stengt"}, "lock", None, "stengt", "locked"),
        ("lock", {"payload_open": "OPEN"}, "open", None, "OPEN", "open"),
        ("lock", {"command_template": '{"do": "{{ value }}"}'}, "lock", None, '{"do": "LOCK"}', "locked"),
        ("switch", {"payload_on": "1"}, "on", None, "1", "on"),
        ("siren", {}, "on", None, '{"state":"ON"}', "on"),
        ("siren", {"command_template": "{{ value }}!"}, "off", None, "OFF!", "off"),
        ("button", {}, "press", None, "PRESS", None),
        ("number", {"min": 5, "max": 30}, "set", "21.5", "21.5", 21.5),
        ("number", {}, "set", 21.0, "21", 21),
        ("select", {"options": ["a", "b"]}, "set", "b", "b", "b"),
        ("text", {"pattern": "[a-z]+"}, "set", "abc", "abc", "abc"),
        ("cover", {}, "close", None, "CLOSE", "closed"),
        ("cover", {"set_position_topic": "x/pos", "position_open": 255}, "set_position", 50, "128", "open"),
        ("update", {"payload_install": "install"}, "install", None, "install", None),
    ],
)
def test_what_a_device_is_told(
    component: str, config: dict, verb: str, value: object, payload: str, assumed: object
) -> None:
    told = order(entity(component, **config), verb, value)
    assert (told.payload.decode(), told.assumed) == (payload, assumed)


@pytest.mark.parametrize(
    ("component", "config", "verb", "value", "why"),
    [
        ("lock", {}, "open", None, "takes lock, unlock, not open"),
        ("lock", {"code_format": r"^\d{4}$"}, "unlock", None, "takes no orders"),
        ("lock", {"code_format": r"^\d{4}$"}, "lock", "1234", "takes no orders"),
        ("number", {"min": 5, "max": 30}, "set", 31, "expected a number from 5 to 30"),
        ("number", {}, "set", "varmt", "expected a number"),
        ("select", {"options": ["a", "b"]}, "set", "c", "expected one of a, b"),
        ("text", {"max": 3}, "set", "abcd", "expected 0 to 3 characters"),
        ("text", {"pattern": "[a-z]+"}, "set", "1", "expected text of the form"),
        ("sensor", {"state_topic": "s"}, "on", None, "takes no orders"),
        ("switch", {"command_template": "{{ value.a.b }}"}, "on", None, "command template fails"),
    ],
)
def test_what_it_does_not_take(component: str, config: dict, verb: str, value: object, why: str) -> None:
    with pytest.raises(OrderError, match=why):
        order(entity(component, **config), verb, value)


def test_a_lock_never_gets_a_retained_order() -> None:
    assert not order(entity("lock", retain=True), "unlock").retain
    assert order(entity("switch", retain=True), "on").retain


def test_a_plain_sensor_takes_nothing() -> None:
    assert verbs(entity("sensor", state_topic="s")) == []


async def test_a_lock_must_be_allowed_and_leaves_an_intent_before_it_is_told(hub: Hub) -> None:
    lock = announce(hub, "lock", "l", cmd_t="l/set", stat_t="l/s", dev={"ids": "l", "name": "Port"})
    await until(lambda: hub.entities.get(lock))
    with pytest.raises(NotAllowedError):
        await hub.commands.send(lock, "unlock", None, "vaktmeister")
    assert not await told(hub)

    heard = listen(hub, "l/set")
    await hub.commands.allow(lock, is_allowed=True, actor="ikt")
    await hub.commands.send(lock, "unlock", None, "vaktmeister", "varelevering")
    await until(lambda: heard == [b"UNLOCK"])
    said = {"verb": "unlock", "value": None, "reason": "varelevering", "topic": "l/set", "payload": "UNLOCK"}
    assert await told(hub) == [("vaktmeister", lock, said)]
    found = hub.entities.get(lock)
    assert found is not None
    assert found.state is None, "it has a state topic, and that has said nothing"
    await hub.commands.allow(lock, is_allowed=False, actor="ikt")
    with pytest.raises(NotAllowedError):
        await hub.commands.send(lock, "unlock", None, "vaktmeister")


async def test_leave_ends_when_the_lock_announces_itself_differently(hub: Hub) -> None:
    lock = announce(hub, "lock", "l", cmd_t="l/set", stat_t="l/s", dev={"ids": "l"})
    await until(lambda: hub.entities.get(lock))
    await hub.commands.allow(lock, is_allowed=True, actor="ikt")
    announce(hub, "lock", "l", cmd_t="l/set", stat_t="l/s", dev={"ids": "l"}, pl_lock="UNLOCK")
    await until(lambda: hub.entities.get(lock).config.payload_lock == "UNLOCK")
    with pytest.raises(NotAllowedError):
        await hub.commands.send(lock, "lock", None, "vaktmeister")
    found = hub.entities.get(lock)
    assert found is not None
    assert hub.commands.has_changed(found)


async def test_a_lamp_that_speaks_to_a_lock_needs_leave_like_the_lock(hub: Hub) -> None:
    await hub.admission.add_gateway("gateway", ["s/#", "z2m/#"], "test")
    announce(hub, "lock", "l", cmd_t="z2m/front/set", stat_t="l/s", dev={"ids": "l"})
    lamps = [
        announce(hub, "switch", f"lamp{number}", cmd_t=topic, dev={"ids": "lamp"}, pl_on="UNLOCK")
        for number, topic in enumerate(("z2m/front/set", "z2m/front/set/state", "z2m/lamp/set"))
    ]
    await until(lambda: hub.entities.get(lamps[-1]))
    for lamp in lamps[:2]:
        with pytest.raises(NotAllowedError):
            await hub.commands.send(lamp, "on", None, "vaktmeister")
    await hub.commands.send(lamps[2], "on", None, "vaktmeister")
    say(hub, "homeassistant/lock/l/config", "")
    await until(lambda: hub.entities.get("lock.l") is None)
    await hub.commands.send(lamps[0], "on", None, "vaktmeister")


async def test_without_a_state_topic_the_state_is_assumed_and_says_so(hub: Hub) -> None:
    await hub.admission.add_gateway("gateway", ["s/#", "z2m/#"], "test")
    switch = announce(hub, "switch", "s", cmd_t="s/set")
    found = await until(lambda: hub.entities.get(switch))
    await hub.commands.send(switch, "on", None, "ikt")
    assert (found.state, found.assumed) == ("on", True)


async def test_an_absent_device_is_told_nothing(hub: Hub) -> None:
    await hub.admission.add_gateway("gateway", ["s/#", "z2m/#"], "test")
    switch = announce(hub, "switch", "s", cmd_t="s/set", avty_t="s/there")
    await until(lambda: hub.entities.get(switch))
    with pytest.raises(UnreachableError, match="is away"):
        await hub.commands.send(switch, "on", None, "ikt")
    with pytest.raises(UnknownEntityError):
        await hub.commands.send("switch.nobody", "on", None, "ikt")
    assert not await told(hub)


async def test_the_history_keeps_what_entities_were_but_no_tags(hub: Hub) -> None:
    sensor = announce(hub, "sensor", "t", stat_t="t/s", unit_of_meas="°C", avty_t="t/there")
    tag = announce(hub, "tag", "g", t="g/scanned")
    await until(lambda: hub.entities.get(sensor) and hub.entities.get(tag))
    say(hub, "t/there", "online", retain=False)
    watcher = hub.entities.watch("tag")
    for value in (20, 21, 21, 22):
        say(hub, "t/s", str(value), retain=False)
    say(hub, "g/scanned", "04:A2:B3", retain=False)
    say(hub, "t/there", "offline", retain=False)
    assert [change.value for change in await watcher.changes()] == ["04:A2:B3"]
    hub.entities.unwatch(watcher)
    await until(lambda: hub.history.written >= 5)
    assert [one.value for one in await hub.history.read(sensor, 0, 2e10)] == [None, 20, 21, 22, None]
    assert await hub.history.read(tag, 0, 2e10) == []
    scanned = hub.entities.get(tag)
    assert scanned is not None
    assert scanned.value is None, "who holds a tag may be known by it"
    assert "04:A2:B3" not in (hub.settings.data / "history.db").read_bytes().decode("latin-1")


def listen(hub: Hub, topic: str) -> list[bytes]:
    """What the broker carries on a topic that no entity listens to."""
    heard: list[bytes] = []
    passed_on = hub.mqtt._on_other_topic

    def take(received):  # type: ignore[no-untyped-def]
        if received.topic == topic:
            heard.append(received.payload)
        passed_on(received)

    hub.mqtt._on_other_topic = take
    assert hub.mqtt.wire is not None
    hub.mqtt.wire.subscribe(topic)
    return heard


async def told(hub: Hub) -> list[tuple[str, str, dict]]:
    rows = await hub.store.read(
        lambda connection: connection.execute(
            select(audit_table).where(audit_table.c.action == "entity.commanded")
        ).all()
    )
    assert await hub.store.read(audit.first_broken) is None
    return [(row.actor, row.subject, json.loads(row.details)) for row in rows]
