"""Each message is tried by itself: one that cannot be delivered, a slow server and a clock set back keep nobody waiting."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.configuration.mail_address import usable_address
from hub.hub import Hub
from hub.store.store import now
from plugins.directory.contract import Person
from plugins.notify import mail, sending
from plugins.notify.contract import Message
from plugins.notify.mail import Letter
from tests.api_client import browser
from tests.conftest import running_hub, until, until_async
from tests.kiosk_client import KioskClient
from tests.mail_server import MailServer, text_of


@pytest.fixture
def settings(settings: dict[str, Any], mail_server: MailServer) -> dict[str, Any]:
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    return settings


async def deliver(hub: Hub, to: str, name: str = "m") -> bool:
    person = Person(id="p", name="Nokon", unit="", mail=to)
    message = Message(id=f"test-{name}", to=person, subject="Du har besøk", body="Ola ventar på deg.", language="nn")
    return bool(await hub.host.plugins["notify"].instance.deliver(message))


def notify(hub: Hub) -> Any:
    return hub.host.plugins["notify"].instance


@pytest.mark.parametrize(
    ("address", "envelope"),
    [
        ("o'neill@fjordvik.example", "o'neill@fjordvik.example"),
        ("bjørn@fjordvik.example", "bjørn@fjordvik.example"),
        ("post@blåfjell.example", "post@xn--blfjell-fxa.example"),
        ("a+b{c}%d@fjordvik.example", "a+b{c}%d@fjordvik.example"),
    ],
)
async def test_mail_goes_to_the_address_as_it_stands(
    hub: Hub, mail_server: MailServer, address: str, envelope: str
) -> None:
    assert await deliver(hub, address)
    await until(lambda: mail_server.mails)
    assert mail_server.recipients == [envelope]
    (got,) = mail_server.mails
    assert text_of(got).startswith("Ola ventar på deg.")
    assert got["Subject"] == "Du har besøk"


async def test_an_address_that_cannot_be_used_is_no_channel(hub: Hub) -> None:
    for address in ("kari", "kari@", "@fjordvik.example", "a b@x.no", "a@b, c@d.no", "Kari <k@x.no>", "k@x..no"):
        with pytest.raises(ValueError, match="is no mail address"):
            usable_address(address)
        assert await deliver(hub, address) is False, address


async def test_the_directory_tells_whose_address_cannot_be_used(settings: dict[str, Any], tmp_path: Path) -> None:
    people = tmp_path / "people.ldif"
    people.write_text(people.read_text().replace("mail: karl@fjordvik.example", "mail: karl.fjordvik.example"))
    async with running_hub(settings, tmp_path) as hub, browser(hub, "front_line") as desk:
        async with desk.get(f"{hub.settings.web.address}/people") as page:
            assert "karl.fjordvik.example" in await page.text()
        health = await hub.host.plugins["directory"].instance.health()
        assert "1 mail addresses cannot be used" in str(health.problem)


async def test_one_that_is_refused_is_given_up_and_the_others_go_on(hub: Hub, mail_server: MailServer) -> None:
    mail_server.refuses = {"gone@fjordvik.example": "550 5.1.1 <gone@fjordvik.example>: no such user"}
    mail_server.refuses |= {"later@fjordvik.example": "451 4.7.1 later"}
    for n in range(3):
        await deliver(hub, "gone@fjordvik.example", f"gone-{n}")
        await deliver(hub, "later@fjordvik.example", f"later-{n}")
    for n in range(20):
        await deliver(hub, f"a{n}@fjordvik.example", f"good-{n}")
    await until(lambda: len(mail_server.mails) == 20)

    async def problem() -> str:
        return (await notify(hub).health()).problem or ""

    await until_async(lambda: says(problem, "550 5.1.1"))
    assert "gone@" not in await problem()
    await until_async(lambda: says(problem, "451 4.7.1"))


async def says(problem: Callable[[], Any], words: str) -> bool:
    return words in await problem()


@pytest.mark.alone
async def test_a_server_that_hangs_for_one_mailbox_keeps_nobody_else_waiting(
    hub: Hub, kiosk: KioskClient, mail_server: MailServer
) -> None:
    mail_server.hangs = {"kari@fjordvik.example"}
    host = (await kiosk.search("kari")).hosts[0].id
    receipts = [await kiosk.register(host, f"Gjest {n}") for n in range(10)]
    began = asyncio.get_running_loop().time()
    for n in range(20):
        await deliver(hub, f"a{n}@fjordvik.example", f"good-{n}")
    await until(lambda: len(mail_server.mails) == 20)

    async def desk_knows() -> bool:
        visits = hub.host.plugins["checkin"].instance.visits
        return all([(await visits.get(one.of)).told is False for one in receipts])

    await until_async(desk_knows, 12)
    assert asyncio.get_running_loop().time() - began < 10
    async with browser(hub, "front_line") as desk, desk.get(f"{hub.settings.web.address}/visits") as page:
        assert "tel:+4700000001" in await page.text()


async def test_a_server_that_takes_its_time_is_served_once(hub: Hub, mail_server: MailServer) -> None:
    mail_server.thinks_seconds = 6
    await deliver(hub, "kari@fjordvik.example")
    await until(lambda: mail_server.mails)
    mail_server.thinks_seconds = 0
    await deliver(hub, "karl@fjordvik.example", "n")
    await until(lambda: len(mail_server.mails) == 2)
    assert mail_server.recipients == ["kari@fjordvik.example", "karl@fjordvik.example"]
    await until(lambda: not notify(hub).sender._state.waiting)


async def test_what_comes_twice_has_one_message_id(
    hub: Hub, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "FIRST_WAIT", timedelta(seconds=0.1))
    mail_server.drops = 1
    await deliver(hub, "kari@fjordvik.example")
    await until(lambda: len(mail_server.mails) == 2)
    assert len({one["Message-ID"] for one in mail_server.mails}) == 1
    assert len({one["Date"] for one in mail_server.mails}) == 1


async def test_a_clock_that_was_set_back_keeps_no_message_waiting(
    settings: dict[str, Any], tmp_path: Path, mail_server: MailServer
) -> None:
    mail_server.stop()
    async with running_hub(settings, tmp_path) as hub:
        await deliver(hub, "kari@fjordvik.example")
        await until(lambda: notify(hub).sender._state.outages)
    database = sqlite3.connect(tmp_path / "data" / "kommunevert.db")
    with database:
        changed = database.execute("UPDATE notify_outbox SET next_at = datetime('now', '+1 hour') || '.000000'")
        assert changed.rowcount == 1
    database.close()
    mail_server.start()
    async with running_hub(settings, tmp_path):
        await until(lambda: mail_server.mails)


async def test_a_server_without_smtputf8_is_told_apart(hub: Hub, mail_server: MailServer) -> None:
    mail_server.stop()
    mail_server.has_smtputf8 = False
    mail_server.start()
    letter = Letter("x", now(), "Fjordvik", "bjørn@fjordvik.example", "a", "b")
    with pytest.raises(mail.PermanentError, match="SMTPUTF8"):
        await mail.send(notify(hub).sender._settings.mail, letter)
