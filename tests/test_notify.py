"""The host is told by mail and webhook, from a durable outbox, and answers by a signed link that is good once."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from sqlalchemy import select

from devices.contract import kiosk as contract
from hub.broker.tls import make_certificates
from hub.hub import Hub
from plugins.notify import sending
from plugins.notify.tables import message, outbox
from tests.conftest import running_hub, until, until_async
from tests.kiosk_client import KioskClient
from tests.mail_server import MailServer, text_of
from tests.ports import free_port


@pytest.fixture
def settings(settings: dict[str, Any], mail_server: MailServer) -> dict[str, Any]:
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    return settings


async def arrive(client: KioskClient, visitor: str = "Ola Besøk") -> contract.Receipt:
    return await client.register((await client.search("kari")).hosts[0].id, visitor)


def link_in(mail: Any) -> str:
    found = re.search(r"http\S+/answer/\S+", text_of(mail))
    assert found is not None
    return found.group()


async def test_from_the_tap_to_the_answer_on_the_kiosk(kiosk: KioskClient, mail_server: MailServer) -> None:
    receipt = await arrive(kiosk)
    assert receipt.host_is_told is True
    await until(lambda: mail_server.mails)
    mail = mail_server.mails[0]
    assert mail["To"] == "kari@fjordvik.example"
    assert "Ola" not in mail["Subject"]
    assert "Ola Besøk" in text_of(mail)
    async with aiohttp.ClientSession() as browser:
        link = link_in(mail)
        async with browser.get(link) as page:
            assert page.status == 200
            assert "Ola Besøk" in await page.text()
        began = asyncio.get_running_loop().time()
        async with browser.post(link, data={"answer": "five_minutes"}) as page:
            assert page.status == 200
    answer = await kiosk.hear(contract.HostAnswer, of=receipt.of)
    assert answer.answer == "five_minutes"
    assert asyncio.get_running_loop().time() - began < 1


async def test_opening_the_link_answers_nothing_and_an_answer_is_the_last(
    hub: Hub, kiosk: KioskClient, mail_server: MailServer
) -> None:
    receipt = await arrive(kiosk)
    await until(lambda: mail_server.mails)
    link = link_in(mail_server.mails[0])
    async with aiohttp.ClientSession() as browser:
        for _ in range(3):  # as mail scanners do
            await (await browser.get(link)).read()
        assert (await hub.host.plugins["checkin"].instance.visits.get(receipt.of)).answer is None
        await (await browser.post(link, data={"answer": "coming"})).read()
        await kiosk.hear(contract.HostAnswer, of=receipt.of)
        again = await browser.post(link, data={"answer": "ask_desk"})
        assert again.status == 200
        assert "Ola" not in await again.text()
    assert (await hub.host.plugins["checkin"].instance.visits.get(receipt.of)).answer == "coming"


async def test_a_link_that_is_not_ours_is_no_link(hub: Hub, kiosk: KioskClient, mail_server: MailServer) -> None:
    await arrive(kiosk)
    await until(lambda: mail_server.mails)
    good = link_in(mail_server.mails[0])
    none = f"{hub.settings.web.address}/answer/"
    async with aiohttp.ClientSession() as browser:
        for bad in (none, f"{none}x", f"{good[:-4]}AAAA"):
            assert (await browser.get(bad)).status == 404, bad
            assert (await browser.post(bad, data={"answer": "coming"})).status == 404, bad
        assert (await browser.post(good, data={"answer": "dance"})).status == 400


async def test_a_dead_mail_server_is_tried_again_and_seen(
    hub: Hub, kiosk: KioskClient, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "FIRST_WAIT", timedelta(seconds=0.2))
    mail_server.stop()
    await arrive(kiosk)
    plugin = hub.host.plugins["notify"].instance

    async def problem() -> str | None:
        return (await plugin.health()).problem

    assert f"127.0.0.1:{mail_server.port}" in await until_async(problem)
    mail_server.start()
    await until(lambda: mail_server.mails)

    async def well() -> bool:
        return await problem() is None

    await until_async(well)
    assert len(mail_server.mails) == 1


async def test_nothing_personal_stays_when_it_is_sent_and_answered(
    hub: Hub, kiosk: KioskClient, mail_server: MailServer
) -> None:
    await arrive(kiosk, "Kanari Fugl")
    await until(lambda: mail_server.mails)
    async with aiohttp.ClientSession() as browser:
        await (await browser.post(link_in(mail_server.mails[0]), data={"answer": "coming"})).read()

    async def is_clean() -> bool:
        def rows(connection: Any) -> list[Any]:
            return [*connection.execute(select(outbox)).all(), *connection.execute(select(message)).all()]

        return "Kanari" not in str(await hub.store.read(rows))

    await until_async(is_clean)


async def test_the_outbox_lives_through_a_restart(
    settings: dict[str, Any], tmp_path: Path, mail_server: MailServer
) -> None:
    mail_server.stop()
    async with running_hub(settings, tmp_path) as hub:
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as client:
            receipt = await arrive(client)

            assert await told(hub, receipt.of, False)  # the desk sees that the host is not told yet
    mail_server.start()
    async with running_hub(settings, tmp_path) as hub:
        await until(lambda: mail_server.mails)
        assert await told(hub, receipt.of, True)
    assert len(mail_server.mails) == 1


async def told(hub: Hub, visit: str, wanted: bool) -> bool:
    async def is_so() -> bool:
        return (await hub.host.plugins["checkin"].instance.visits.get(visit)).told is wanted

    return bool(await until_async(is_so))


@pytest_asyncio.fixture
async def teams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
    """A server that answers as a Teams workflow does: 202, over https."""
    paths = make_certificates(tmp_path / "tls", ["127.0.0.1"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(paths["ca"]))
    got: list[dict[str, Any]] = []

    async def invoke(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/workflows/{workflow}/triggers/manual/paths/invoke", invoke)
    runner = web.AppRunner(app)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(paths["server"], paths["server-key"])
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    yield port, got
    await runner.cleanup()


async def test_a_teams_channel_gets_a_card_without_the_visitors_name(
    settings: dict[str, Any], tmp_path: Path, teams: tuple[int, list[dict[str, Any]]], mail_server: MailServer
) -> None:
    port, cards = teams
    settings["outside"] = {"allowed": ["127.0.0.0/8"]}
    settings["plugins"]["notify"]["webhooks"] = [f"workflows://127.0.0.1:{port}/abc123/def456?image=no"]
    async with running_hub(settings, tmp_path) as hub:
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as client:
            await arrive(client, "<at>Sjefen</at>")
            await until(lambda: cards and mail_server.mails)
    text = str(cards[0])
    assert "Kari Nordmann" in text
    assert "/answer/" not in text  # whoever reads the channel could read the name behind it, and answer
    assert "Sjefen" not in text
    assert cards[0]["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"


async def test_a_hosts_own_chat_gets_the_name_and_the_link_and_nobody_elses_does(
    settings: dict[str, Any], tmp_path: Path, teams: tuple[int, list[dict[str, Any]]], mail_server: MailServer
) -> None:
    port, cards = teams
    settings["outside"] = {"allowed": ["localhost"]}
    settings["plugins"]["notify"]["own_webhooks"] = [
        {"mail": "Kari@fjordvik.example", "address": f"workflows://127.0.0.1:{port}/kari/sig?image=no"},
        {"mail": "karl@fjordvik.example", "address": f"workflows://127.0.0.1:{port}/karl/sig?image=no"},
    ]
    async with running_hub(settings, tmp_path) as hub:
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as client:
            await arrive(client, "Ola Besøk")
            await until(lambda: cards and mail_server.mails)
    assert len(cards) == 1
    assert "/answer/" in str(cards[0])
    assert "Ola Besøk" in str(cards[0])


async def held(hub: Hub, name: str) -> bool:
    def rows(connection: Any) -> list[Any]:
        return [*connection.execute(select(outbox)).all(), *connection.execute(select(message)).all()]

    return name in str(await hub.store.read(rows))


async def test_what_is_held_of_a_visit_ends_with_the_visit(
    settings: dict[str, Any], tmp_path: Path, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.checkin.service.SWEEP_SECONDS", 0.1)
    settings["plugins"]["checkin"]["keep_hours"] = 1 / 3600
    mail_server.stop()  # the mail still waits to be sent
    async with running_hub(settings, tmp_path) as hub:
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as client:
            receipt = await arrive(client, "Kanari Fugl")
            await until_async(lambda: held(hub, "Kanari"))
            await hub.host.plugins["checkin"].instance.visits.check_out(receipt.of, "test")

            async def is_gone() -> bool:
                return not await held(hub, "Kanari")

            await until_async(is_gone)


async def test_the_link_of_a_visitor_who_has_left_shows_no_name(
    hub: Hub, kiosk: KioskClient, mail_server: MailServer
) -> None:
    receipt = await arrive(kiosk)
    await until(lambda: mail_server.mails)
    link = link_in(mail_server.mails[0])
    visits = hub.host.plugins["checkin"].instance.visits
    await visits.check_out(receipt.of, "test")
    async with aiohttp.ClientSession() as browser:
        page = await browser.get(link)
        assert "Ola" not in await page.text()
        await (await browser.post(link, data={"answer": "coming"})).read()
    assert (await visits.get(receipt.of)).answer is None
