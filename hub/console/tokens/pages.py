"""The page Tokens, and the documentation of the HTTP API."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from devices.contract.payload import Name
from hub.accounts.tokens import Tokens
from hub.api.openapi import openapi
from hub.api.operations import PREFIX, Caller, Operation
from hub.api.scopes import may_give
from hub.api.serving import as_json
from hub.console.tokens.reading import chapters
from hub.store.store import now
from hub.web.forms import Form
from hub.web.pages import Pages, see
from hub.web.problems import KINDS
from hub.web.security import session_of

DAYS = (30, 365, 0)
"""Choices for a token's lifetime; 0: until it is revoked."""
_NAME = TypeAdapter(Name)


class ApiPages:
    def __init__(
        self, pages: Pages, tokens: Tokens, operations: Callable[[], list[Operation]], web_address: str
    ) -> None:
        self._pages = pages
        self._tokens = tokens
        self._operations = operations
        self._web_address = web_address
        self._documented_operations: tuple[Operation, ...] = ()
        self._openapi: dict[str, Any] = {}
        self._text = ""
        self._openapi_lock = asyncio.Lock()
        pages.page("/tokens", {"it"}, self.tokens)
        pages.action(
            "/tokens",
            {"it"},
            self.make,
            Form(must=("name", "days"), many=("scope",), choices={"days": {str(one) for one in DAYS}}),
        )
        pages.action("/tokens/{token}/revoke", {"it"}, self.revoke)
        pages.public("GET", "/api", self.read)
        pages.public("GET", "/api/openapi.json", self.document)
        pages.public("GET", "/api/problems/{name}", self.problem)

    async def tokens(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request)

    async def make(self, request: web.Request) -> web.StreamResponse:
        """The response displays the secret, which is not stored."""
        sent = await request.post()
        scopes = frozenset(str(one) for one in sent.getall("scope", []))
        try:
            name = _NAME.validate_python(str(sent.get("name", "")))
        except ValidationError:
            return await self._page(request, status=400, problem="name", chosen=scopes)
        if not scopes:
            return await self._page(request, status=400, problem="scopes", name=name)
        if scopes - self._may_give(request):
            raise web.HTTPForbidden(text="A token gets no more than its maker has.")
        days = int(str(sent["days"]))
        expires_at = now() + timedelta(days=days) if days else None
        _, secret = await self._tokens.make(name, scopes, session_of(request).account, expires_at)
        return await self._page(request, secret=secret, made=name)

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        await self._tokens.revoke(request.match_info["token"], session_of(request).account)
        return see("/tokens")

    async def read(self, request: web.Request) -> web.StreamResponse:
        return await self._pages.render(
            request,
            "api.html",
            chapters=chapters(await self._document()),
            problems=KINDS.values(),
            prefix=PREFIX,
            address=self._web_address,
        )

    async def document(self, _request: web.Request) -> web.StreamResponse:
        await self._document()
        return as_json(self._text)

    async def problem(self, request: web.Request) -> web.StreamResponse:
        """The target of a problem's `type`."""
        name = request.match_info["name"]
        if name not in KINDS:
            raise web.HTTPNotFound(text="There is no such problem.")
        return see(f"/api#problem-{name}")

    async def _document(self) -> dict[str, Any]:
        """The OpenAPI document, cached until the operations change. Made in a thread: it takes a third of a second."""
        async with self._openapi_lock:
            operations = tuple(self._operations())
            if self._documented_operations != operations:
                secure = self._web_address.startswith("https:")
                make = partial(openapi, operations, version=version("kommunevert"), is_secure=secure)
                self._openapi = await asyncio.to_thread(make)
                self._text = json.dumps(self._openapi)
                self._documented_operations = operations
            return self._openapi

    def _may_give(self, request: web.Request) -> set[str]:
        session = session_of(request)
        return may_give(Caller("", session.account, session.roles), self._operations())

    async def _page(self, request: web.Request, *, status: int = 200, **values: Any) -> web.Response:
        defaults: dict[str, Any] = {"secret": None, "made": None, "problem": None, "name": "", "chosen": frozenset()}
        return await self._pages.render(
            request,
            "tokens.html",
            status=status,
            tokens=await self._tokens.all(),
            scopes=sorted(self._may_give(request)),
            days=DAYS,
            now=now(),
            **(defaults | values),
        )
