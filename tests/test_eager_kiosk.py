"""What one device may cause has a limit, which it is told; nothing is lost, and the desk sees which device it is."""

import asyncio
from typing import Any

import pytest

from devices.contract import kiosk as contract
from devices.contract.payload import new_id
from hub.hub import Hub
from tests.api_client import browser
from tests.conftest import until, until_async
from tests.kiosk_client import KioskClient, a_visit
from tests.mail_server import MailServer


@pytest.fixture
def settings(settings: dict[str, Any], mail_server: MailServer) -> dict[str, Any]:
    settings["plugins"]["checkin"] |= {"visits_per_minute": 30, "messages_per_host": 5, "check_outs_per_minute": 2}
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    return settings


async def test_a_kiosk_that_floods_registers_no_more_than_it_may(
    hub: Hub, kiosk: KioskClient, mail_server: MailServer
) -> None:
    host = (await kiosk.search("kari")).hosts[0].id
    visits = [a_visit(host, f"Gjest {n}") for n in range(200)]
    for visit in visits:
        kiosk.say("visit", visit)
    await until(lambda: all(kiosk.receipts(one.id) for one in visits))
    results = {one.id: kiosk.receipts(one.id)[0] for one in visits}
    registered = [name for name, one in results.items() if one.result == "registered"]
    waiting = [one for one in results.values() if one.result == "wait"]
    assert 30 <= len(registered) <= 45
    assert all(one.wait_seconds > 0 for one in waiting)
    count = hub.host.plugins["checkin"].instance.visits.count_inside
    assert await count() == len(registered)

    kiosk.heard.clear()  # sent again, what was registered has its receipt as always
    again = next(one for one in visits if one.id == registered[0])
    kiosk.say("visit", again)
    assert (await kiosk.hear(contract.Receipt, of=again.id)).result == "registered"

    async with browser(hub, "front_line") as desk, desk.get(f"{hub.settings.web.address}/visits") as page:
        text = await page.text()
    assert "Nettbrett sender meir enn gjester kan" in text
    assert hub.devices.vitals("kiosk-1").last_refusal == "visit: too many, it waits"
    assert "kiosk-1" in str((await hub.host.plugins["checkin"].instance.health()).problem)

    async def desk_tells() -> bool:
        found = await hub.host.plugins["checkin"].instance.visits.today()
        return sum(one.told is False for one in found) >= len(registered) - 6

    await until_async(desk_tells)
    await asyncio.sleep(0.5)
    assert len(mail_server.mails) <= 6


async def test_another_kiosk_is_served_meanwhile(hub: Hub, kiosk: KioskClient) -> None:
    host = (await kiosk.search("kari")).hosts[0].id
    for n in range(100):
        kiosk.say("visit", a_visit(host, f"Gjest {n}"))
    enrolment = await hub.enroller.enrol("kiosk-2", "kiosk", "Andre", "", "test")
    async with KioskClient(enrolment).connected() as other:
        assert (await other.register(host)).result == "registered"


async def test_check_outs_that_are_too_many_are_told_to_wait(hub: Hub, kiosk: KioskClient) -> None:
    receipts = []
    for _ in range(4):
        out = contract.CheckOut(id=new_id(), number="0000", left_at=a_visit("x").arrived_at)
        kiosk.say("checkout", out)
        receipts.append(await kiosk.hear(contract.Receipt, of=out.id))
    assert [one.result for one in receipts] == ["refused", "refused", "wait", "wait"]
    assert hub.devices.get("kiosk-1") is not None
