"""Where one comes to after the login, and after another language was chosen."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from hub.hub import Hub
from tests.api_client import PASSWORD


@pytest_asyncio.fixture
async def nobody(hub: Hub) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Origin": hub.settings.web.address}
    async with aiohttp.ClientSession(hub.settings.web.address, headers=headers) as session:
        yield session


@pytest.mark.parametrize(
    "to",
    [
        "/\t/evil.example/x",
        "\t/x",
        "//evil.example",
        "/\\evil.example",
        "/a\\b",
        "/\n/evil",
        "/x\r\ny: z",
        " /",
        "x",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/language", "/login"])
async def test_nobody_is_sent_to_another_site(hub: Hub, nobody: aiohttp.ClientSession, path: str, to: str) -> None:
    await hub.accounts.put("nokon", PASSWORD, frozenset({"it"}), "test")
    form = {"name": "nokon", "password": PASSWORD, "language": "nn", "to": to}
    answer = await nobody.post(path, data=form, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_one_comes_back_to_the_page_that_was_asked_for(nobody: aiohttp.ClientSession) -> None:
    form = {"language": "nn", "to": "/found?q=lås%20a&b=//x"}
    assert (await nobody.post("/language", data=form, allow_redirects=False)).headers["Location"] == form["to"]
