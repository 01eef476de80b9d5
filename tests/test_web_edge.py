"""What anybody may send to a page: broken forms, and text that is none. Nothing of it is a 500."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from hub.hub import Hub
from tests.api_client import browser, problem, program

FORM = "application/x-www-form-urlencoded"
PARTS = 'multipart/form-data; boundary="x"'
LOWER = b"--x\r\ncontent-disposition: form-data; name=a\r\n"

BROKEN = {
    "an unknown charset": (f"{FORM}; charset=foo", b"to=/"),
    "a charset of no text": (f"{FORM}; charset=hex", b"to=/"),
    "no UTF-8": (FORM, b"to=\xff"),
    "half a pair": (f"{FORM}; charset=utf-7", b"to=+2AA-"),
    "NUL": (FORM, b"to=%00"),
    "NUL in a name": (FORM, b"t%00=a"),
    "no boundary": ("multipart/form-data", b"--x--"),
    "no parts": (PARTS, b"nothing of the kind"),
    "an end too soon": (PARTS, LOWER + b"\r\nabc"),
    "parts in parts": (PARTS, b"--x\r\ncontent-type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n"),
    "a part without name": (PARTS, b"--x\r\ncontent-disposition: form-data\r\n\r\na\r\n--x--\r\n"),
    "an unknown encoding": (PARTS, LOWER + b"content-transfer-encoding: foo\r\n\r\na\r\n--x--\r\n"),
    "an unknown charset in a part": (PARTS, LOWER + b"content-type: text/plain; charset=foo\r\n\r\na\r\n--x--\r\n"),
    "what is neither text nor a file": (PARTS, LOWER + b"content-type: image/png\r\n\r\na\r\n--x--\r\n"),
    "NUL in a part": (PARTS, LOWER + b"\r\na\0b\r\n--x--\r\n"),
    "NUL in a file's name": (
        PARTS,
        b"--x\r\ncontent-disposition: form-data; name=a; filename*=utf-8''a%00\r\n\r\na\r\n--x--\r\n",
    ),
}


@pytest_asyncio.fixture
async def nobody(hub: Hub) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Origin": hub.settings.web.address}
    async with aiohttp.ClientSession(hub.settings.web.address, headers=headers) as session:
        yield session


async def test_a_form_that_cannot_be_read_is_refused_everywhere(hub: Hub, nobody: aiohttp.ClientSession) -> None:
    address = hub.settings.web.address
    async with browser(hub, "it", "caretaker") as inside:
        for what, (kind, body) in BROKEN.items():
            for session, path in ((nobody, "/login"), (nobody, "/language"), (inside, "/pair/confirm")):
                answer = await session.post(address + path, data=body, headers={"Content-Type": kind})
                assert answer.status == 400, (what, path)


async def test_a_number_that_is_none_gives_the_first_page(hub: Hub) -> None:
    async with browser(hub, "it") as it:
        for before in (str(2**63), "9" * 5000, "-1", "\u0662", "x"):
            answer = await it.get(f"{hub.settings.web.address}/audit", params={"before": before})
            assert answer.status == 200, before


async def test_a_form_of_a_plugin_is_read_before_the_plugin_sees_it(hub: Hub) -> None:
    async with browser(hub, "it", "front_line", "caretaker") as inside:
        address = hub.settings.web.address
        for path in ("/screens/notices", "/doors/door-1/order", "/doors/lockdown"):
            answer = await inside.post(address + path, data=b"a=%00", headers={"Content-Type": FORM})
            assert answer.status == 400, path


async def test_a_file_may_hold_anything(hub: Hub) -> None:
    """It is told that it is no picture, and not that the form is none."""
    async with browser(hub, "caretaker") as inside:
        form = aiohttp.FormData({"name": "1. etasje"})
        form.add_field("picture", b"\0\xff", filename="bilete.svg", content_type="image/svg+xml")
        answer = await inside.post(f"{hub.settings.web.address}/plans", data=form, allow_redirects=False)
        assert answer.status == 422


async def test_an_address_with_nul_is_refused(nobody: aiohttp.ClientSession) -> None:
    for path in ("/kiosk%00", "/login?to=%00", "/login?%00", "/api/v1/devices?kind=%00", "/found/a%00"):
        assert (await nobody.get(path)).status == 400, path


async def test_nul_in_json_is_refused(hub: Hub) -> None:
    async with program(hub) as caller:
        for text in (r"a\u0000", r"a\\\u0000", r"\ud800"):
            body = f'{{"name": "{text}"}}'.encode()
            answer = await caller.post("tokens", data=body, headers={"Content-Type": "application/json"})
            assert (answer.status, await problem(answer)) == (400, "malformed"), text
        literal = rb'{"name": "a\\u0000", "scopes": ["devices:read"]}'
        answer = await caller.post("tokens", data=literal, headers={"Content-Type": "application/json"})
        assert answer.status == 201
        assert (await caller.get("devices/%00")).status == 400


async def test_a_header_that_is_no_text_is_nobodys(hub: Hub) -> None:
    for header in (b"Cookie: kommunevert=\xff", b"Authorization: Bearer \xff"):
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.settings.web.port)
        writer.write(b"GET /api/v1/devices HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b"\r\n\r\n")
        status = await reader.readline()
        writer.close()
        assert b" 401 " in status, header
