"""A setting does not have the hub call the municipality's own machines, or itself."""

import asyncio
import socket
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from hub.configuration.settings import Configuration, ConfigurationError
from hub.outside.addresses import Outside, RefusedAddressError
from plugins.directory.contract import Person
from plugins.notify.contract import Message, deliver
from tests.conftest import running_hub, until_async
from tests.ports import free_port

PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
]
PRIVATE += [
    "::1",
    "::",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:10.1.2.3",
    "64:ff9b::a01:203",
    "2002:a01:203::1",
    "224.0.0.1",
]
KARI = Person("kari", "Kari", "Stab", mail=None)


@pytest.mark.parametrize("address", [*PRIVATE, "", "no address"])
def test_what_is_private_however_it_is_written(address: str) -> None:
    assert not Outside().has(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_what_is_public(address: str) -> None:
    assert Outside().has(address)


def test_networks_and_hosts_that_are_allowed() -> None:
    outside = Outside(["10.0.5.0/24", "fd00::/8", "localhost"])
    assert all(map(outside.has, ("10.0.5.7", "::ffff:10.0.5.7", "fd00::1", "127.0.0.1")))
    assert not outside.has("10.0.6.7")


def test_what_is_no_network_and_no_host_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"3: outside.allowed: .*neither a network"):
        Configuration("outside:\n  # ours\n  allowed: [10.0.5.1/24]\n", "k.yaml", tmp_path)


class Chat:
    """A server that takes messages, or sends whoever asks elsewhere."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked: list[str] = []
        self.elsewhere: str | None = None

    async def take(self, request: web.Request) -> web.Response:
        self.asked.append(request.host)
        if self.elsewhere is not None and request.host.startswith("127.0.0.1"):
            raise web.HTTPTemporaryRedirect(self.elsewhere)
        return web.json_response({})


@pytest_asyncio.fixture
async def chat() -> AsyncIterator[Chat]:
    chat = Chat()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", chat.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", chat.port).start()
    await web.TCPSite(runner, "::1", chat.port).start()
    yield chat
    await runner.cleanup()


async def test_a_call_in_a_thread_is_kept_from_private_networks(chat: Chat) -> None:
    """By names and redirects too, whatever library calls; and what is beside it is not."""

    def ask(host: str) -> None:
        urllib.request.urlopen(f"http://{host}:{chat.port}/", timeout=5).close()

    with Outside().calling() as call, pytest.raises(OSError, match=r"is in a private network"):
        await asyncio.to_thread(ask, "localhost")
    assert call.refused in ("127.0.0.1", "::1")
    with Outside(["127.0.0.1"]).calling() as call:
        await asyncio.to_thread(ask, "127.0.0.1")
        assert call.refused is None
        chat.elsewhere = f"http://[::1]:{chat.port}/"
        with pytest.raises(OSError, match=r"::1 is in"):
            await asyncio.to_thread(ask, "127.0.0.1")
    assert call.refused == "::1"
    assert not any(one.startswith("[::1]") for one in chat.asked)
    await asyncio.to_thread(ask, "[::1]")


def test_other_ways_than_tcp(tmp_path: Path) -> None:
    with Outside().calling():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, pytest.raises(RefusedAddressError):
            udp.sendto(b"x", ("127.0.0.1", 514))
        with socket.socket(socket.AF_UNIX) as local, pytest.raises(RefusedAddressError, match="this machine"):
            local.connect(str(tmp_path / "socket"))


@pytest.mark.parametrize("allowed", [[], ["127.0.0.1"]])
async def test_a_webhook_that_leads_inside_is_refused_and_says_so(
    settings: dict[str, Any], tmp_path: Path, chat: Chat, allowed: list[str]
) -> None:
    """Straight, and by a redirect of a server that is allowed."""
    chat.elsewhere = f"http://[::1]:{chat.port}/"
    settings["outside"] = {"allowed": allowed}
    settings["plugins"]["notify"] = {"webhooks": [f"json://127.0.0.1:{chat.port}/x"]}
    async with running_hub(settings, tmp_path) as hub:
        await hub.hooks.all(deliver, message=Message("m1", KARI, "Gjest", "Du har besøk", "nn"))
        sender = hub.host.plugins["notify"].instance.sender

        async def problem() -> str:
            return str((await sender.health()).problem)

        led_to = "::1" if allowed else "127.0.0.1"
        await until_async(lambda: problem_has(problem, f"leads to {led_to}, in a private network"))
        assert len(chat.asked) == len(allowed)


async def problem_has(problem: Any, text: str) -> bool:
    return text in await problem()
