"""The demo's mailbox as a process: mail in by SMTP; out as page, JSON and events; gone with its parent."""

import asyncio
import json
import os
import re
import smtplib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from devices.simulator.mailbox import linked
from devices.simulator.mails import MAX_KEPT, Mailbox
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    process: asyncio.subprocess.Process
    smtp_port: int
    url: str

    async def send(self, subject: str, text: str, **more: str) -> None:
        mail = EmailMessage()
        mail["Subject"], mail["To"], mail["From"] = subject, "åse@fjordvik.example", "vert@fjordvik.example"
        mail.set_content(text)
        if "html" in more:
            mail.clear_content()
            mail.set_content(more["html"], subtype="html")
        if "attachment" in more:
            mail.add_attachment(b"BEGIN:VCALENDAR", maintype="text", subtype="calendar", filename=more["attachment"])

        def deliver() -> None:
            with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=10) as server:
                server.send_message(mail)

        await asyncio.to_thread(deliver)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devices.simulator.mailbox", "--smtp-port", "0", "--http-port", "0"),
        *("--exit-with-parent", "--time-zone", "Pacific/Chatham"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        line = (await process.stdout.readline()).decode()
    smtp, http = re.search(r"smtp://[\d.]+:(\d+) (http://\S+)", line).groups()
    yield Running(process, int(smtp), http)
    process.stdin.close()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await process.wait() == 0


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        yield session


async def test_mail_comes_out_as_json_newest_first(running: Running, browser: aiohttp.ClientSession) -> None:
    await running.send("Besøk til deg", "Ola ventar i resepsjonen.\n")
    await running.send("Kalender", "Sjå vedlegg", attachment="møte.ics")
    await running.send("Berre HTML", "", html="<style>p{}</style><p>Hei <b>på</b> deg</p><script>x()</script>")
    async with browser.get(running.url + "messages.json") as answer:
        mails = await answer.json()
    assert [mail["subject"] for mail in mails] == ["Berre HTML", "Kalender", "Besøk til deg"]
    assert mails[0]["text"] == "Hei på deg"
    assert mails[1]["attachments"] == ["møte.ics"]
    assert mails[2]["text"] == "Ola ventar i resepsjonen.\n"
    assert mails[2]["recipients"] == ["åse@fjordvik.example"]


async def test_the_page_has_the_sites_time(running: Running, browser: aiohttp.ClientSession) -> None:
    """Whatever the zone of the machine is, which in a container is UTC."""
    await running.send("Besøk til deg", "Ola ventar.")
    async with browser.get(running.url) as answer:
        found = re.search(r'<time datetime="([^"]+)">\s*([^<]+?)\s*</time>', await answer.text())
    assert found is not None
    here = datetime.fromisoformat(found[1]).astimezone(ZoneInfo("Pacific/Chatham"))
    assert found[2] == here.strftime("%d.%m.%Y kl. %H:%M:%S")


async def test_the_page_shows_it_and_runs_nothing_of_it(running: Running, browser: aiohttp.ClientSession) -> None:
    evil = '<script>alert(1)</script> javascript:alert(2) http://127.0.0.1:8080/svar?a=1&b="><img src=x>'
    await running.send("<b>Emne</b>", evil)
    async with browser.get(running.url) as answer:
        page = await answer.text()
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "Demopostkasse" in page
    assert "i staden for e-postsystemet" in page
    assert "&lt;b&gt;Emne&lt;/b&gt;" in page
    assert "<script>" not in page
    assert "<img" not in page
    assert '<a href="http://127.0.0.1:8080/svar?a=1&amp;b="' in page
    assert 'href="javascript' not in page


async def test_the_page_is_told_of_new_mail(running: Running, browser: aiohttp.ClientSession) -> None:
    async with browser.get(running.url + "changes") as answer:
        assert await answer.content.readline() == b": open\n"
        await running.send("Ny", "Hei")
        lines = [await answer.content.readline() for _ in range(2)]
    assert lines[-1] == b"data: 1\n"


async def test_static_files_are_there(running: Running, browser: aiohttp.ClientSession) -> None:
    for name in ("mailbox.css", "mailbox.js", "mailbox.svg"):
        async with browser.get(f"{running.url}static/{name}") as answer:
            assert answer.status == 200
    async with browser.get(running.url + "static/../mailbox.html") as answer:
        assert answer.status == 404


def test_only_web_addresses_become_links() -> None:
    assert linked("sjå (https://fjordvik.example/a?b=1).") == (
        'sjå (<a href="https://fjordvik.example/a?b=1" rel="noopener noreferrer" target="_blank">'
        "https://fjordvik.example/a?b=1</a>)."
    )
    for other in ("javascript:alert(1)", "ftp://x", "data:text/html,x", "file:///etc", "JaVaScRiPt:x"):
        assert "<a" not in linked(other)


def test_the_box_is_bounded_and_eats_anything() -> None:
    mailbox = Mailbox()
    for number in range(MAX_KEPT + 50):
        mailbox.put("a", ["b"], f"Subject: {number}\n\nx".encode())
    assert len(mailbox) == MAX_KEPT
    assert mailbox.newest_first()[0].subject == str(MAX_KEPT + 49)
    broken = b"Content-Type: text/plain; charset=none-such\nSubject: =?x?q?=FF?=\n\n\xff\xfe"
    for raw in (b"", b"\0\xff" * 100, broken, b"Content-Type: multipart/mixed; boundary=x\n\n--x"):
        mailbox.put("", [], raw)
    assert json.dumps([mail.subject for mail in mailbox.newest_first()])
