"""What is not what it looks like: a name that turns the text after it, and a message of long ago."""

from hub.devices.registry import Place
from hub.hub import Hub
from tests.api_client import browser
from tests.conftest import until
from tests.kiosk_client import KioskClient, a_visit

TURNED = "Nettbrett \u202egnp.exe\u2066 i \u200fgangen"


async def test_a_turned_name_is_shown_as_what_it_is(hub: Hub) -> None:
    await hub.enroller.enrol("kiosk-1", "kiosk", TURNED, Place(), "test")
    async with browser(hub, "it") as it:
        for path in ("/devices", "/devices/kiosk-1", "/audit"):
            page = await (await it.get(f"{hub.settings.web.address}{path}")).text()
            assert not {"\u202e", "\u2066", "\u200f"} & set(page), path
        assert (
            "[U+202E]gnp.exe[U+2066] i [U+200F]gangen"
            in await (await it.get(f"{hub.settings.web.address}/devices/kiosk-1")).text()
        )


async def test_what_must_not_be_retained_is_cleared(hub: Hub, kiosk: KioskClient) -> None:
    """Retained, it would be refused anew at each of the hub's connections."""
    topic = f"{hub.mqtt.branch(hub.devices.require('kiosk-1'))}/up/visit"
    kiosk.say("visit", a_visit("nobody"), retain=True)
    kiosk.say("search", b"{}")
    await until(lambda: hub.devices.vitals("kiosk-1").refused)
    assert hub.mqtt.wire is not None
    hub.mqtt.wire.subscribe(topic)  # as at a new connection: what is retained comes
    await until(lambda: "retained" in str(hub.devices.vitals("kiosk-1").last_refusal))
    count = hub.devices.vitals("kiosk-1").refused
    hub.mqtt.wire.subscribe(topic)
    kiosk.say("search", b"{}")  # comes after whatever the subscription brings
    await until(lambda: "malformed" in str(hub.devices.vitals("kiosk-1").last_refusal))
    assert hub.devices.vitals("kiosk-1").refused == count + 1
