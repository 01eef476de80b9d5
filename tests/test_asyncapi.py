"""AsyncAPI: the document is valid, and what really goes over the broker is what it says."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from devices.contract import alive, door, kiosk, screen
from devices.contract.channels import Channel
from devices.contract.topics import parse
from devices.wire.connection import Received
from hub.devices.mqtt import UndeclaredMessageError
from hub.hub import Hub
from hub.toolkit.published import asyncapi_of, errors_in
from tests.conftest import until
from tests.kiosk_client import KioskClient, a_visit

PAGE = (Path(__file__).parents[1] / "docs" / "mqtt.md").read_text(encoding="utf-8")
CHANNELS = [*alive.CHANNELS, *kiosk.CHANNELS, *screen.CHANNELS, *door.CHANNELS]


async def test_the_running_hubs_document_is_valid(hub: Hub) -> None:
    document = asyncapi_of(hub)
    assert errors_in("asyncapi", document) == []
    assert {"kiosk.up.visit", "kiosk.down.offer", "door.down.command", "screen.down.programme"} <= set(
        document["operations"]
    )
    assert document["operations"]["door.down.command"]["bindings"]["mqtt"]["messageExpiryInterval"] == 5
    assert document["channels"]["discovery.single"]["address"] == "homeassistant/{component}/{object}/config"


async def test_a_document_that_is_not_valid_is_told(hub: Hub) -> None:
    document = deepcopy(asyncapi_of(hub))
    document["operations"]["kiosk.up.visit"]["action"] = "listen"
    document["channels"]["kiosk.up.visit"]["messages"]["kiosk.up.visit"]["$ref"] = "#/components/messages/nothing"
    assert [one.split(":")[1].strip()[:12] for one in errors_in("asyncapi", document)] == [
        "$.operations",
        "#/components",
    ]


class Spied(KioskClient):
    """Also keeps what comes as it comes."""

    def __init__(self, *arguments: Any) -> None:
        self.received: list[Received] = []
        super().__init__(*arguments)

    def _take(self, received: Received) -> None:
        self.received.append(received)
        super()._take(received)


async def test_what_the_hub_says_is_what_the_document_says(hub: Hub) -> None:
    document = asyncapi_of(hub)
    async with Spied(await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")).connected() as client:
        await client.hear(kiosk.Offer)
        found = await client.search("kar")
        await client.register(found.hosts[0].id)
        refused = a_visit("nobody")
        client.say("visit", refused)
        await client.hear(kiosk.Receipt, of=refused.id)
        await until(lambda: len(client.received) >= 4)
    heard = set()
    for received in client.received:
        topic = parse(hub.settings.root, received.topic)
        assert topic is not None
        name = f"{topic.kind}.{topic.direction}.{topic.what}"
        heard.add(name)
        schema = {**document["components"]["messages"][name]["payload"], "components": document["components"]}
        Draft7Validator(schema).validate(json.loads(received.payload))
        assert received.qos == document["operations"][name]["bindings"]["mqtt"]["qos"], name
    assert heard == {"kiosk.down.offer", "kiosk.down.found", "kiosk.down.receipt"}


async def test_what_is_not_declared_is_not_sent(hub: Hub) -> None:
    await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    device = hub.devices.get("kiosk-1")
    assert device is not None
    with pytest.raises(UndeclaredMessageError):
        hub.mqtt.send("test", device, "joke", kiosk.Receipt(of="a", result="refused"))
    with pytest.raises(UndeclaredMessageError):
        hub.mqtt.send("test", device, "offer", kiosk.Receipt(of="a", result="refused"))
    with pytest.raises(ValueError, match="declared by another plugin"):
        hub.mqtt.declare([Channel("down", "offer", kiosk.Found, "another meaning", kind="kiosk")])


@pytest.mark.parametrize("one", CHANNELS, ids=lambda one: f"{one.kind}.{one.direction}.{one.what}")
def test_the_page_says_of_each_channel_what_its_declaration_says(one: Channel) -> None:
    chapter = PAGE.split(f"\n## {(one.kind or 'every device').capitalize()}\n", 1)[1].split("\n## ", 1)[0]
    message = f"Signed({one.carries.__name__})" if one.carries else one.model.__name__
    retained = "yes" if one.retained else "no"
    assert re.search(
        rf"^\| `{one.direction}/{one.what}` \| {re.escape(message)} \| {one.qos} \| {retained} \|",
        chapter,
        re.MULTILINE,
    )
