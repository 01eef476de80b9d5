"""The host's answer reaches the visitor, or the desk and the host know that it has not."""

import asyncio
from typing import Any

import aiohttp
import pytest

from devices.contract import kiosk as contract
from devices.contract.payload import new_id
from hub.hub import Hub
from plugins.checkin import mqtt
from plugins.checkin.models import Visit
from tests.api_client import browser
from tests.conftest import until, until_async
from tests.kiosk_client import KioskClient
from tests.mail_server import MailServer
from tests.test_notify import arrive, link_in


@pytest.fixture
def settings(settings: dict[str, Any], mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(mqtt, "RESEND_SECONDS", 0.3)
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    return settings


async def visit_of(hub: Hub, receipt: contract.Receipt) -> Visit:
    found: Visit | None = await hub.host.plugins["checkin"].instance.visits.get(receipt.of)
    assert found is not None
    return found


async def answer(mail_server: MailServer, what: str = "coming") -> str:
    """The page that the host sees then."""
    await until(lambda: mail_server.mails)
    async with (
        aiohttp.ClientSession() as phone,
        phone.post(link_in(mail_server.mails[0]), data={"answer": what}) as page,
    ):
        return await page.text()


async def desk_page(hub: Hub) -> str:
    async with browser(hub, "front_line") as desk, desk.get(f"{hub.settings.web.address}/visits") as page:
        return await page.text()


async def test_an_answer_reaches_a_kiosk_that_was_cut_off(hub: Hub, mail_server: MailServer) -> None:
    enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    async with KioskClient(enrolment).connected() as client:
        receipt = await arrive(client)
    said = await answer(mail_server)
    assert "Gjesten ser det på nettbrettet" not in said
    assert "Det står ikkje på nettbrettet enno" in said
    assert "ikkje sett det" in await desk_page(hub)
    async with KioskClient(enrolment).connected() as client:  # with a clean session
        got = await client.hear(contract.HostAnswer, of=receipt.of)
        assert got.answer == "coming"
        client.say("shown", contract.AnswerShown(visit=receipt.of, is_seen=True))

        async def is_seen() -> bool:
            return (await visit_of(hub, receipt)).answer_seen is True

        await until_async(is_seen)
        heard = len(client.heard)
        await asyncio.sleep(1)
        assert len(client.heard) == heard  # and not again
    assert "ikkje sett det" not in await desk_page(hub)
    async with aiohttp.ClientSession() as phone, phone.get(link_in(mail_server.mails[0])) as page:
        assert "Gjesten ser det på nettbrettet" in await page.text()


async def test_an_answer_after_the_visitor_has_left_the_page_is_the_desks(
    hub: Hub, kiosk: KioskClient, mail_server: MailServer
) -> None:
    receipt = await arrive(kiosk)
    asking = asyncio.create_task(answer(mail_server))
    await kiosk.hear(contract.HostAnswer, of=receipt.of)
    kiosk.say("shown", contract.AnswerShown(visit=receipt.of, is_seen=False))
    assert "Skranken ser svaret" in await asking
    assert "ikkje sett det" in await desk_page(hub)
    ask = contract.Ask(id=new_id(), number=receipt.number or "")
    kiosk.say("ask", ask)
    told = await kiosk.hear(contract.Told, of=ask.id)
    assert (told.result, told.answer) == ("answered", "coming")
    assert "ikkje sett det" not in await desk_page(hub)


async def test_another_kiosk_cannot_say_that_it_was_seen_and_an_unknown_number_tells_nothing(
    hub: Hub, kiosk: KioskClient
) -> None:
    receipt = await arrive(kiosk)
    enrolment = await hub.enroller.enrol("kiosk-2", "kiosk", "Nettbrett", "", "test")
    visits = hub.host.plugins["checkin"].instance.visits
    await visits.record_answer(f"visit-{receipt.of}", "coming")
    async with KioskClient(enrolment).connected() as other:
        other.say("shown", contract.AnswerShown(visit=receipt.of, is_seen=True))
        number = f"{(int(receipt.number or 0) + 1) % 10_000:04}"
        other.say("ask", contract.Ask(id="a1", number=number))
        assert (await other.hear(contract.Told, of="a1")).result == "unknown_number"
    assert (await visit_of(hub, receipt)).answer_seen is None
