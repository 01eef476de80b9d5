"""Pairing by a code over HTTP, as devices and administrators do it; a door does it with its own program, over TLS."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from devices.contract.door import KIND as DOOR
from devices.contract.enrolment import Enrolment
from devices.contract.pairing import ALPHABET, VALID_SECONDS
from devices.door.pairing import PairingError, refuse_plain_http
from devices.wire.connection import Address
from hub.devices.pairing import COLLECT_SECONDS, MAX_WAITING, Pairing, UnknownCodeError
from hub.hub import Hub
from tests.accounts.broker_client import is_refused
from tests.conftest import running_hub, until
from tests.kiosk_client import KioskClient
from tests.patience import PATIENCE_SECONDS
from tests.test_production import command

PASSWORD = "fjord-skog-ugle-regn"
CLAIM = "c" * 43


@pytest.fixture
def settings(settings: dict[str, Any], sqlite_url: str) -> dict[str, Any]:
    return settings | {"store": {"url": sqlite_url}}


@asynccontextmanager
async def administrator(hub: Hub) -> AsyncIterator[aiohttp.ClientSession]:
    await hub.accounts.put("ikt", PASSWORD, frozenset({"it"}), "test")
    async with aiohttp.ClientSession(hub.settings.web.address, connector=aiohttp.TCPConnector(ssl=False)) as session:
        answer = await session.post("/login", data={"name": "ikt", "password": PASSWORD}, headers=OURS)
        assert answer.status == 200
        yield session


OURS = {"Sec-Fetch-Site": "same-origin"}


async def asked(session: aiohttp.ClientSession, path: str, body: dict[str, str], status: int = 200) -> dict[str, Any]:
    async with session.post(path, json=body, headers=OURS) as answer:
        assert answer.status == status, await answer.text()
        found: dict[str, Any] = await answer.json(content_type=None)
        return found


async def confirmed(session: aiohttp.ClientSession, code: str, **values: str) -> int:
    async with session.post("/pair/confirm", data={"code": code, **values}, headers=OURS) as answer:
        return answer.status


def enrolment_in(link: str, hub: Hub) -> Enrolment:
    found = dict(part.split("=") for part in link.split("#")[1].split("&"))
    kind = next(kind for kind, path in hub.enroller.pages().items() if link.startswith(path))
    return Enrolment(kind=kind, port=hub.settings.broker.port, **found)


async def test_a_tablet_is_paired_and_replaced(settings: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(settings, tmp_path) as hub, administrator(hub) as admin:
        offer = await asked(admin, "/pair", {"claim": CLAIM, "kind": "kiosk"})
        assert re.fullmatch(f"[{ALPHABET}]{{6}}", offer["code"])
        assert offer["address"].endswith(f"/pair?code={offer['code']}")
        assert (await asked(admin, "/pair", {"claim": CLAIM, "kind": "kiosk"}))["code"] == offer["code"]
        assert await asked(admin, "/pair/claim", {"claim": CLAIM}) == {"state": "waiting"}
        assert await asked(admin, "/pair/claim", {"claim": "d" * 43}) == {"state": "gone"}
        typed = f"{offer['code'][:3].lower()} {offer['code'][3:].lower()}"
        values = {"name": "Nettbrett ved heisen", "kind": "kiosk", "building": "Rådhuset", "floor": "1. etasje"}
        assert await confirmed(admin, typed, **values) == 200
        assert await confirmed(admin, typed, **values) == 404  # used once
        device = hub.devices.require("kiosk-1")
        assert (device.name, device.place, device.where.floor) == (
            "Nettbrett ved heisen",
            "Rådhuset, 1. etasje",
            "1. etasje",
        )
        got = await asked(admin, "/pair/claim", {"claim": CLAIM})
        assert got == await asked(admin, "/pair/claim", {"claim": CLAIM})  # an answer may get lost
        first = enrolment_in(got["link"], hub)
        async with KioskClient(first).connected() as kiosk:
            assert (await kiosk.search("kari")).hosts
            assert await asked(admin, "/pair/claim", {"claim": CLAIM}) == {"state": "gone"}  # it is in use

            again = await asked(admin, "/pair", {"claim": "e" * 43, "kind": "kiosk"})
            assert await confirmed(admin, again["code"], replace="kiosk-1") == 200
            await until(lambda: not kiosk.wire.connected)
        assert await is_refused(Address("127.0.0.1", first.port, "kiosk-1", first.secret))
        assert hub.devices.require("kiosk-1").place == device.place
        second = enrolment_in((await asked(admin, "/pair/claim", {"claim": "e" * 43}))["link"], hub)
        async with KioskClient(second).connected() as kiosk:
            assert (await kiosk.search("kari")).hosts


async def test_a_stranger_gets_nowhere(settings: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(settings, tmp_path) as hub, aiohttp.ClientSession(hub.settings.web.address) as stranger:
        offer = await asked(stranger, "/pair", {"claim": CLAIM, "kind": "kiosk"})
        assert await confirmed(stranger, offer["code"], name="x", kind="kiosk") == 401
        assert list(hub.devices) == []
        for wrong in ({"claim": "short", "kind": "kiosk"}, {"kind": "kiosk"}, {"claim": CLAIM, "kind": "hub"}, {}):
            await asked(stranger, "/pair", wrong, 400)
        statuses = [
            (await stranger.post("/pair", json={"claim": f"{number:043}", "kind": "kiosk"}, headers=OURS)).status
            for number in range(40)
        ]
        assert 200 in statuses
        assert statuses[-1] == 429


async def test_mistyped_codes_are_limited(settings: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(settings, tmp_path) as hub, administrator(hub) as admin:
        statuses = [(await admin.get(f"/pair?code=CCC{number:03}")).status for number in range(12)]
        assert statuses[0] == 200
        assert statuses[-1] == 429
        offer = await asked(admin, "/pair", {"claim": CLAIM, "kind": "kiosk"})
        assert (await admin.get(f"/pair?code={offer['code']}")).status == 429, "a right guess is a guess too"


async def test_a_door_pairs_over_tls_and_opens(settings: dict[str, Any], tmp_path: Path) -> None:
    made = await asyncio.to_thread(command, "tls", "init", "localhost", "127.0.0.1", "--out", tmp_path / "tls")
    assert made.returncode == 0, made.stderr
    certificate = {"certificate": "tls/server.pem", "key": "tls/server-key.pem"}
    settings["web"]["tls"] = settings["broker"]["tls"] = certificate
    async with running_hub(settings, tmp_path) as hub, administrator(hub) as admin:
        file, log = tmp_path / "door.json", (tmp_path / "door.log").open("wb")
        door = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "devices.door", file, "--pair", hub.settings.web.address),
            *("--ca", tmp_path / "tls" / "ca.pem", "--simulate", "--exit-with-parent"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        try:
            assert door.stdout is not None
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = (await door.stdout.readline()).decode()
            found = re.search(r"Pairing code: (\w{3} \w{3})", line)
            assert found, line
            assert await confirmed(admin, found[1], name="Hovudinngang", kind=DOOR) == 200
            plugin = hub.host.plugins["locks"].instance
            await until(lambda: plugin.states.of("door-1").lock == "locked")
            assert await plugin.locks.pulse("door-1", "test") == "done"
            enrolment = Enrolment.read(file)
            assert (enrolment.host, enrolment.port) == ("localhost", hub.settings.broker.port + 1)
            assert "BEGIN CERTIFICATE" in str(enrolment.ca)
            assert oct(file.stat().st_mode)[-3:] == "600"
        finally:
            log.close()
            assert door.stdin is not None
            door.stdin.close()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await door.wait()


def test_a_code_ends() -> None:
    clock = [0.0]
    pairing = Pairing(lambda: clock[0])
    code = pairing.request_code(CLAIM, "kiosk", "here", "").code
    clock[0] = VALID_SECONDS - 1
    assert pairing.find(code).kind == "kiosk"
    clock[0] = VALID_SECONDS + 1
    with pytest.raises(UnknownCodeError):
        pairing.find(code)
    assert pairing.collect(CLAIM) is None
    waiting = pairing.take(pairing.request_code(CLAIM, "kiosk", "here", "").code)
    pairing.complete(waiting, Enrolment(site="x", kind="kiosk", device="kiosk-1", secret="s"))
    pairing.mark_connected("kiosk-1")  # the old one, before the new one has fetched anything
    clock[0] += COLLECT_SECONDS - 1
    assert pairing.collect(CLAIM) is waiting
    clock[0] += 2
    assert pairing.collect(CLAIM) is None


@pytest.mark.parametrize("bad", ["http://vert.example.kommune.no", "ftp://localhost", "vert", "http://10.0.0.5:8080"])
def test_keys_do_not_go_over_plain_http(bad: str) -> None:
    with pytest.raises(PairingError):
        refuse_plain_http(bad)
    refuse_plain_http("http://127.0.0.1:8080")
    refuse_plain_http("https://vert.example.kommune.no")


def test_whoever_floods_pushes_out_their_own_codes() -> None:
    pairing = Pairing()
    honest = pairing.request_code("h" * 40, "kiosk", "10.0.0.9", "")
    flood = [pairing.request_code(f"{number:040}", "kiosk", f"2001:db8::{number:x}", "") for number in range(2000)]
    assert pairing.find(honest.code) is honest
    assert pairing.find(flood[-1].code) is flood[-1]
    with pytest.raises(UnknownCodeError):
        pairing.find(flood[0].code)
    another = pairing.request_code("i" * 40, "kiosk", "10.0.0.10", "")
    assert pairing.find(another.code) is another
    assert len(pairing._by_claim) == MAX_WAITING
