"""A visitor who does not use the kiosk is registered at the desk or by a program, and is a visitor as all others."""

from typing import Any

import aiohttp
import pytest

from devices.contract import kiosk as contract
from hub.hub import Hub
from plugins.checkin.models import NewVisit, Visit
from plugins.checkin.service import Visits
from plugins.directory.contract import find_hosts
from tests.api_client import actions, browser, problem, program
from tests.conftest import until, until_async
from tests.kiosk_client import KioskClient, a_visit
from tests.mail_server import MailServer, text_of
from tests.test_notify import link_in

PERSON = {"visitor": "Gro Gjest", "company": "Fjord AS"}
MOST = 3


@pytest.fixture
def settings(settings: dict[str, Any], mail_server: MailServer) -> dict[str, Any]:
    settings["plugins"]["checkin"]["visits_per_minute"] = MOST
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    return settings


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    return sqlite_url


def visits(hub: Hub) -> Visits:
    return hub.host.plugins["checkin"].instance.visits


async def host_of(hub: Hub, name: str) -> str:
    return (await hub.hooks.all(find_hosts, text=name, limit=5, device=None))[0][0].id


async def only_visit(hub: Hub) -> Visit:
    (found,) = await visits(hub).today()
    return found


async def test_the_desk_registers_a_visitor_and_the_host_is_told(hub: Hub, mail_server: MailServer) -> None:
    page = f"{hub.settings.web.address}/visits/new"
    async with browser(hub, "front_line") as desk:
        kari = await host_of(hub, "kari")
        assert f'value="{kari}" required checked> Kari Nordmann' in await (await desk.get(f"{page}?q=KARI")).text()
        assert "Ingen med eit slikt namn" in await (await desk.get(f"{page}?q=karen")).text()
        answer = await desk.post(page, data=PERSON | {"q": "kari", "host": kari}, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/visits")
        visit = await only_visit(hub)
        assert (visit.visitor, visit.company, visit.host_name) == ("Gro Gjest", "Fjord AS", "Kari Nordmann")
        assert (visit.kiosk, visit.timing, visit.is_inside) == (None, None, True)
        await until(lambda: mail_server.mails)
        assert "Gro Gjest (Fjord AS) ventar på deg" in text_of(mail_server.mails[0])
        async with aiohttp.ClientSession() as phone:
            said = await (await phone.post(link_in(mail_server.mails[0]), data={"answer": "coming"})).text()
        assert "Skranken ser svaret" in said
        shown = await (await desk.get(f"{hub.settings.web.address}/visits")).text()
        assert "Verten kjem" in shown
        assert f"nummer {visit.number}" in shown
        assert "ikkje sett det" not in shown, "nobody waits at a kiosk"
    assert [one.name for one in await visits(hub).present()] == ["Gro Gjest (Fjord AS)"]
    assert ("nokon", "visit.registered") in await actions(hub)


async def test_they_check_out_at_the_kiosk_by_their_number(hub: Hub, kiosk: KioskClient) -> None:
    async with program(hub) as api:
        await api.post("visits", json={"host": await host_of(hub, "kari"), "visitor": "Gro Gjest"})
    number = (await only_visit(hub)).number
    kiosk.say("checkout", contract.CheckOut(id="out", number=number or "", left_at=a_visit("x").arrived_at))
    assert (await kiosk.hear(contract.Receipt, of="out")).result == "checked_out"
    assert (await only_visit(hub)).left_by == "kiosk-1"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"visitor": "Gro"}, "Vel kven gjesten skal møte."),
        ({"visitor": "?!", "host": "kari"}, "Skriv namnet til gjesten"),
        ({"visitor": "G" * 81, "host": "kari"}, "Skriv namnet til gjesten"),
        ({"visitor": "Gro <b>", "host": "nobody"}, "tek ikkje imot besøk"),
    ],
)
async def test_a_form_that_is_not_right_says_why_and_keeps_what_was_typed(
    hub: Hub, sent: dict[str, str], problem: str
) -> None:
    if sent.get("host") == "kari":
        sent = sent | {"host": await host_of(hub, "kari")}
    async with browser(hub, "front_line") as desk:
        page = f"{hub.settings.web.address}/visits/new"
        answer = await desk.post(page, data={"q": "kari", "company": "Fjord & Co"} | sent)
        shown = await answer.text()
        assert answer.status == 422
        assert problem in shown
        assert 'value="Fjord &amp; Co"' in shown
        assert "Kari Nordmann" in shown
    assert await visits(hub).count_inside() == 0


async def test_the_page_is_the_desks(hub: Hub) -> None:
    async with browser(hub, "caretaker", "it") as others:
        assert (await others.get(f"{hub.settings.web.address}/visits/new")).status == 403


async def test_a_program_registers_a_visitor(hub: Hub, mail_server: MailServer) -> None:
    kari = await host_of(hub, "kari")
    async with program(hub, "visits:read", "visits:write") as api:
        key = {"Idempotency-Key": "one"}
        wanted = {"host": kari, "visitor": "Gro Gjest", "language": "en"}
        made = [await api.post("visits", json=wanted, headers=key) for _ in range(2)]
        visit = await made[0].json()
        assert [one.status for one in made] == [201, 201]
        assert (visit["kiosk"], visit["visitor"], visit["company"], visit["language"]) == (
            None,
            "Gro Gjest",
            None,
            "en",
        )
        assert await (await api.get(made[0].headers["Location"])).json() | {"told": None} == visit | {"told": None}
        assert await problem(await api.post("visits", json=wanted | {"host": "nobody"})) == "invalid"
        assert await problem(await api.post("visits", json={"host": kari, "visitor": " "})) == "invalid"
    async with program(hub, "visits:read") as reader:
        assert await problem(await reader.post("visits", json=wanted)) == "forbidden"
    await until(lambda: mail_server.mails)
    assert await visits(hub).count_inside() == 1
    assert [one for one in await actions(hub) if one[1] == "visit.registered"] == [("token:prøve", "visit.registered")]


async def test_nobody_registers_more_visitors_than_a_kiosk_may(hub: Hub, kiosk: KioskClient) -> None:
    kari = await host_of(hub, "kari")
    async with program(hub) as api:
        answers = [await api.post("visits", json={"host": kari, "visitor": f"Gjest {n}"}) for n in range(MOST + 1)]
        assert [one.status for one in answers] == [201] * MOST + [429]
        assert int(answers[-1].headers["Retry-After"]) > 0
    assert (await kiosk.register(kari)).result == "registered"


async def test_nobody_is_registered_while_the_directory_cannot_say_who_is_a_host(hub: Hub) -> None:
    kari = await host_of(hub, "kari")
    directory = hub.host.plugins["directory"]
    directory.state = "quarantined"
    try:
        async with program(hub) as api:
            answer = await api.post("visits", json={"host": kari, "visitor": "Gro Gjest"})
            assert await problem(answer) == "unavailable"
        async with browser(hub, "front_line") as desk:
            page = f"{hub.settings.web.address}/visits/new"
            assert (
                "svarer ikkje. Prøv igjen"
                in await (await desk.post(page, data=PERSON | {"q": "kari", "host": kari})).text()
            )
    finally:
        directory.state = "running"


async def test_a_kiosk_gets_no_receipt_for_a_visit_of_the_desks(hub: Hub, kiosk: KioskClient) -> None:
    """It would say "registered" of a visitor who is in no list."""
    kari = await host_of(hub, "kari")
    new = NewVisit("one", kari, "Gro Gjest", None, "nn", a_visit("x").arrived_at, "skranke")
    number, is_told = await visits(hub).register(new)
    assert (len(number or ""), is_told) == (4, True)
    assert await visits(hub).register(new) == (number, True), "the same id twice is one visit"
    assert (await kiosk.register(kari, visit_id="one")).result == "refused"
    await until_async(visits(hub).count_inside)
    assert await visits(hub).count_inside() == 1
