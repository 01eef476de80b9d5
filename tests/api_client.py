"""A program that uses the HTTP API of a hub in the test's own loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from hub.api.scopes import scopes_of
from hub.hub import Hub
from hub.store import audit
from hub.web.problems import KINDS

PASSWORD = "prøv-dette-2026"


@asynccontextmanager
async def program(hub: Hub, *scopes: str) -> AsyncIterator[aiohttp.ClientSession]:
    """With a token of these scopes; of all there are when none is named."""
    wanted = frozenset(scopes) or frozenset(scopes_of(hub.operations()))
    _, secret = await hub.tokens.make("prøve", wanted, "test")
    async with aiohttp.ClientSession(_base(hub), headers={"Authorization": f"Bearer {secret}"}) as session:
        yield session


@asynccontextmanager
async def browser(hub: Hub, *roles: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """With a session of these roles, on the hub's own origin."""
    address = hub.settings.web.address
    await hub.accounts.put("nokon", PASSWORD, frozenset(roles), "test")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(_base(hub), headers={"Origin": address}, cookie_jar=jar) as session:
        answer = await session.post(
            f"{address}/login", data={"name": "nokon", "password": PASSWORD}, allow_redirects=False
        )
        assert answer.status == 303
        yield session


async def problem(answer: aiohttp.ClientResponse) -> str:
    """The name of its type; and it is what RFC 9457 demands."""
    assert answer.content_type == "application/problem+json"
    document = await answer.json()
    assert document["status"] == answer.status
    assert document["title"]
    assert document["detail"]
    name = str(document["type"]).rpartition("/")[2]
    assert KINDS[name].status == answer.status
    return name


async def actions(hub: Hub) -> list[tuple[str, str]]:
    return [(one.actor, one.action) for one in await hub.store.read(audit.newest)]


def _base(hub: Hub) -> str:
    return f"{hub.settings.web.address}/api/v1/"
