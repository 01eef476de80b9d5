"""Two devices with one account: they are noticed and told, and do not throw each other out without end."""

import asyncio
from datetime import UTC, datetime

import aiohttp

from devices.contract.alive import Heartbeat
from hub.devices.registry import Vitals
from hub.hub import Hub
from tests.api_client import browser
from tests.conftest import until
from tests.kiosk_client import KioskClient


def beat(instance: str | None, taken_over: int = 0) -> Heartbeat:
    return Heartbeat(sent_at=datetime.now(UTC), version="1", uptime_seconds=1, instance=instance, taken_over=taken_over)


def heard(*beats: Heartbeat) -> Vitals:
    vitals = Vitals()
    for one in beats:
        vitals.notice_instance(one)
        vitals.heartbeat = one
    return vitals


def test_who_comes_back_as_what_it_was_is_two() -> None:
    assert heard(beat("a"), beat("b"), beat("a")).is_duplicated
    assert heard(beat("a"), beat("a", taken_over=1)).is_duplicated
    assert not heard(beat("a"), beat("a"), beat("b"), beat("b")).is_duplicated  # started anew
    assert not heard(*(beat(str(n)) for n in range(30))).is_duplicated
    assert not heard(beat(None), beat(None)).is_duplicated
    assert not heard(beat("a", taken_over=3)).is_duplicated  # long ago, before we listened


async def test_two_with_one_account_are_told_and_back_off(hub: Hub) -> None:
    enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    first, second = KioskClient(enrolment), KioskClient(enrolment)
    async with first.connected():
        first.say("heartbeat", beat("first"))
        await until(lambda: hub.devices.vitals("kiosk-1").heartbeat)
        async with second.connected():
            second.say("heartbeat", beat("second"))
            await until(lambda: first.wire.taken_over + second.wire.taken_over > 0)
            await asyncio.sleep(1)
            assert first.wire.taken_over + second.wire.taken_over <= 2
            for client, name in ((first, "first"), (second, "second")) * 2:
                if client.wire.connected:
                    client.say("heartbeat", beat(name))
            patient = first if first.wire.taken_over else second
            await until(lambda: patient.wire.connected)
            patient.say("heartbeat", beat("first" if patient is first else "second"))
            await until(lambda: hub.devices.vitals("kiosk-1").is_duplicated)
            async with browser(hub, "it") as it:
                for path in ("/devices", "/devices/kiosk-1"):
                    page = await (await it.get(f"{hub.settings.web.address}{path}")).text()
                    assert "to apparat bruker den same kontoen" in page
                async with it.get(f"{hub.settings.web.address}/readyz") as answer:
                    assert answer.status == 200, "the hub itself is ready"
                    assert (await answer.json())["parts"]["devices"] == "several use one account: kiosk-1"
            ready = f"{hub.settings.web.address}/readyz"
            async with aiohttp.ClientSession() as stranger, stranger.get(ready) as answer:
                assert "devices" not in (await answer.json())["parts"]
