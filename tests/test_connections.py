"""Many connections of nobody: the port stays open to those who have an account."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks.raw_mqtt import RawClient
from devices.contract.enrolment import Enrolment
from hub.hub import Hub
from hub.web.connections import Connection, Connections, room_for
from tests.api_client import browser
from tests.conftest import running_hub
from tests.patience import PATIENCE_SECONDS

UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MANY = 300


class Inner(asyncio.Protocol):
    """Takes everything and says nothing."""


class Ends(Connection):
    """One that says whether it was ended."""

    is_ended = False

    def abort(self) -> None:
        self.is_ended = True


@pytest.fixture
def at() -> list[float]:
    return [0.0]


@pytest.fixture
def connections(at: list[float]) -> Connections:
    return Connections(10, 4, lambda: at[0])


def arrived(connections: Connections, address: str) -> Ends:
    with socket.socket() as one:
        connection = Ends(connections, Inner(), one, address)
    assert connections.admit(connection)
    return connection


def test_the_oldest_from_one_address_goes(connections: Connections) -> None:
    mine = [arrived(connections, "a") for _ in range(6)]
    other = arrived(connections, "b")
    assert [one.is_ended for one in mine] == [True, True, False, False, False, False]
    assert not other.is_ended
    assert len(connections) == 5


def test_the_oldest_stranger_goes_when_there_are_too_many(connections: Connections) -> None:
    known = arrived(connections, "tablet")
    known.prove()
    neighbour = arrived(connections, "tablet")
    strangers = [arrived(connections, f"stranger {n}") for n in range(30)]
    assert len(connections) == 10
    assert not known.is_ended
    assert not neighbour.is_ended
    assert [one.is_ended for one in strangers] == [True] * 22 + [False] * 8


def test_who_has_proven_themselves_is_ended_for_nobody(connections: Connections) -> None:
    proven = [arrived(connections, f"{n}") for n in range(10)]
    for one in proven:
        one.prove()
    with socket.socket() as last:
        assert not connections.admit(Ends(connections, Inner(), last, "a"))
    assert not any(one.is_ended for one in proven)
    connections.remove(proven[0])
    arrived(connections, "a")


def test_an_address_is_known_for_a_week(connections: Connections, at: list[float]) -> None:
    arrived(connections, "tablet").prove()
    assert not any([arrived(connections, "tablet") for _ in range(5)][n].is_ended for n in range(5))
    at[0] = 8 * 86_400.0
    later = [arrived(connections, "tablet") for _ in range(2)]
    assert not later[0].is_ended


def test_files_set_the_bound() -> None:
    assert room_for(50) <= 50
    assert room_for(10**9) < 10**9


@contextmanager
def sockets(port: int, count: int, first: bytes, address: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many connections that each send `first` and nothing more."""
    opened = []
    try:
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(address, 0))
            opened.append(one)
            with suppress(OSError):
                one.sendall(first)
        yield opened
    finally:
        for one in opened:
            one.close()


@pytest.mark.parametrize("first", [UPGRADE, b"", b"GET / HTTP/1.1\r\nHo", UPGRADE + b"\x82\x82\0\0\0\0\xc0\0"])
async def test_a_crowd_of_nobody_keeps_nobody_out(settings: dict[str, Any], tmp_path: Path, first: bytes) -> None:
    """A tablet connects, a page opens and a session goes on beside three hundred sockets that say nothing."""
    settings["web"] |= {"connections": 60, "connections_per_address": 20}
    async with running_hub(settings, tmp_path) as hub, browser(hub, "it") as it:
        address, port = hub.settings.web.address, hub.settings.web.port
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        crowd = sockets(port, MANY, first, "127.0.0.2")
        await asyncio.to_thread(crowd.__enter__)
        try:
            assert (await it.get(f"{address}/devices")).status == 200
            async with aiohttp.ClientSession() as tablet:
                assert (await tablet.get(f"{address}/kiosk")).status == 200
                assert await connack(tablet, address, enrolment) == 0
        finally:
            crowd.__exit__(None, None, None)


async def test_who_says_nothing_is_ended(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hub.web.connections.HEAD_SECONDS", "hub.web.mqtt_proxy.FIRST_PACKET_SECONDS"):
        monkeypatch.setattr(name, 0.3)
    ping = b"\x82\x82\0\0\0\0\xc0\0"
    async with running_hub(settings, tmp_path) as hub:
        for first in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX", UPGRADE, UPGRADE + ping):
            reader, writer = await asyncio.open_connection("127.0.0.1", hub.settings.web.port)
            writer.write(first)
            async with asyncio.timeout(PATIENCE_SECONDS):
                with suppress(ConnectionError):
                    await reader.read()
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.settings.web.port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"alive\n")
        await asyncio.sleep(0.6)
        assert not reader.at_eof()  # between two requests there is time
        writer.write(b"GET /ki")
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_a_slow_request_that_began_is_not_ended(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/live` is one request for hours."""
    monkeypatch.setattr("hub.web.connections.HEAD_SECONDS", 0.2)
    async with running_hub(settings, tmp_path) as hub, browser(hub, "it") as it:
        stream = await it.get(f"{hub.settings.web.address}/live")
        await asyncio.sleep(0.6)
        hub.live.touch("devices")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"devices" not in await stream.content.readline():
                pass
        stream.close()


async def test_the_broker_is_not_troubled_before_connect(hub: Hub) -> None:
    assert hub.broker is not None
    async with aiohttp.ClientSession() as nobody:
        before = established(hub.settings.broker.port)  # type: ignore[union-attr]
        async with nobody.ws_connect(f"{hub.settings.web.address}/mqtt", protocols=("mqtt",)):
            assert established(hub.settings.broker.port) == before  # type: ignore[union-attr]


async def test_only_our_own_pages_reach_the_broker(hub: Hub) -> None:
    async def status(**headers: str) -> int:
        async with aiohttp.ClientSession(
            headers={name.replace("_", "-"): one for name, one in headers.items()}
        ) as nobody:
            try:
                async with nobody.ws_connect(f"{hub.settings.web.address}/mqtt", protocols=("mqtt",)):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    assert await status(Origin="https://evil.example") == 403
    assert await status(Sec_Fetch_Site="cross-site") == 403
    assert await status(Origin="null") == 403
    assert await status() == 101


async def test_our_own_page_reaches_the_broker(hub: Hub) -> None:
    address = hub.settings.web.address
    enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    async with aiohttp.ClientSession(headers={"Origin": address}) as tablet:
        assert await connack(tablet, address, enrolment) == 0


def established(port: int) -> int:
    """How many connections to this port of the machine there are."""
    wanted = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(wanted) and row[3] == "01" for row in rows)


async def connack(tablet: aiohttp.ClientSession, address: str, enrolment: Enrolment) -> int | None:
    hello = RawClient(enrolment.device, enrolment.secret, "x", lambda _: None)._hello
    async with tablet.ws_connect(f"{address}/mqtt", protocols=("mqtt",)) as websocket:
        await websocket.send_bytes(hello)
        answer = await websocket.receive(10)
        return answer.data[3] if answer.type is aiohttp.WSMsgType.BINARY else None
