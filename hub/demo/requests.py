"""Sets up the demo's town hall by requests to the hub's own API."""

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

RETRY_SECONDS = 20.0
INTERVAL_SECONDS = 0.2
NAMED = "uid="
RETRIED_STATUSES = frozenset({404, 422})
"""Retried, since they may succeed once the hub has read its directory."""


class DemoRequestError(Exception):
    """The hub refuses a request of the demo; the text has the request and the response."""


class ApiRequest(Section):
    method: Literal["POST", "PUT"]
    path: str
    body: dict[str, Any]


async def send_once(hub: Hub, requests: list[ApiRequest], counter: Path) -> None:
    """Send the requests not sent at an earlier start, in order; the file `counter` counts them.

    Raises DemoRequestError.
    """
    sent = int(counter.read_text()) if counter.exists() else 0
    if sent >= len(requests):
        return
    scopes = frozenset(scopes_of(hub.operations()))
    token, secret = await hub.tokens.make("demo", scopes, "demo", expires_at=now() + timedelta(minutes=10))
    headers = {"Authorization": f"Bearer {secret}", "If-Match": "*"}
    try:
        async with aiohttp.ClientSession(f"{hub.settings.web.address}{PREFIX}/", headers=headers) as api:
            ids = PersonIds.load(hub.settings.data)
            for number, request in enumerate(requests[sent:], sent + 1):
                await _send(api, request, _with_ids(request.body, ids))
                counter.write_text(str(number))
    finally:
        await hub.tokens.revoke(token.id, "demo")


async def _send(api: aiohttp.ClientSession, request: ApiRequest, body: dict[str, Any]) -> None:
    end = asyncio.get_running_loop().time() + RETRY_SECONDS
    while True:
        async with api.request(request.method, request.path.removeprefix("/"), json=body) as answer:
            if answer.ok:
                return
            text = await answer.text()
        if answer.status not in RETRIED_STATUSES or asyncio.get_running_loop().time() > end:
            raise DemoRequestError(f"{request.method} {request.path}: {text}")
        await asyncio.sleep(INTERVAL_SECONDS)


def _with_ids(value: Any, ids: PersonIds) -> Any:
    """Replace user names of the directory, `uid=…`, by the hub's ids."""
    if isinstance(value, dict):
        return {key: _with_ids(one, ids) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_ids(one, ids) for one in value]
    if isinstance(value, str) and value.startswith(NAMED):
        return ids.of(value.removeprefix(NAMED))
    return value
