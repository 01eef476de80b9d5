"""What the demo's town hall is furnished with: requests to the hub's own API, as any program could make them."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import aiohttp

from hub.api.operations import PREFIX
from hub.api.scopes import scopes_of
from hub.configuration.settings import Section
from hub.hub import Hub
from hub.store.person_ids import PersonIds
from hub.store.store import now

PATIENCE_SECONDS = 20.0
AGAIN_SECONDS = 0.2
NAMED = "uid="
NOT_YET = frozenset({404, 422})
"""Answers that may be others when the hub has read its directory."""


class DemoRequestError(Exception):
    """The hub does not take a request of the demo; the text says which, and what it answered."""


class ApiRequest(Section):
    method: Literal["POST", "PUT"]
    path: str
    body: dict[str, Any]


async def send_once(hub: Hub, requests: list[ApiRequest], done: Path) -> None:
    """Those that were not made at an earlier start, in their order; `done` counts them. Raises DemoRequestError."""
    made = int(done.read_text()) if done.exists() else 0
    if made >= len(requests):
        return
    scopes = frozenset(scopes_of(hub.operations()))
    token, secret = await hub.tokens.make("demo", scopes, "demo", expires_at=now() + timedelta(minutes=10))
    headers = {"Authorization": f"Bearer {secret}", "If-Match": "*"}
    try:
        async with aiohttp.ClientSession(f"{hub.settings.web.address}{PREFIX}/", headers=headers) as api:
            ids = PersonIds.load(hub.settings.data)
            for number, request in enumerate(requests[made:], made + 1):
                await _ask(api, request, _with_ids(request.body, ids))
                done.write_text(str(number))
    finally:
        await hub.tokens.revoke(token.id, "demo")


async def _ask(api: aiohttp.ClientSession, request: ApiRequest, body: dict[str, Any]) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        async with api.request(request.method, request.path.removeprefix("/"), json=body) as answer:
            if answer.ok:
                return
            said = await answer.text()
        if answer.status not in NOT_YET or asyncio.get_running_loop().time() > end:
            raise DemoRequestError(f"{request.method} {request.path}: {said}")
        await asyncio.sleep(AGAIN_SECONDS)


def _with_ids(value: Any, ids: PersonIds) -> Any:
    """With the hub's ids of the people who are named as in the directory: `uid=…`."""
    if isinstance(value, dict):
        return {key: _with_ids(one, ids) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_ids(one, ids) for one in value]
    if isinstance(value, str) and value.startswith(NAMED):
        return ids.of(value.removeprefix(NAMED))
    return value
