"""Pairing: `/pair` for devices that request an account, and the console's page to enter their code."""

from typing import Any, TypeVar
from urllib.parse import urlsplit

import segno
from aiohttp import hdrs, web
from pydantic import ValidationError

from devices.contract.pairing import VALID_SECONDS, PairingAnswer, PairingClaim, PairingOffer, PairingRequest
from devices.contract.payload import Payload, clean
from hub.console.devices.kind_names import kind_names
from hub.devices.admission import TakenNameError
from hub.devices.enroller import Enroller
from hub.devices.pairing import Pairing, UnknownCodeError, Waiting
from hub.devices.registry import Devices
from hub.hooks.limits import Limiter
from hub.web.forms import Form, body_of
from hub.web.pages import Pages, see
from hub.web.place_form import PARTS, place_in, suggestions
from hub.web.security import session_of

M = TypeVar("M", bound=Payload)
MAX_BYTES = 2_000
MAX_PROGRAM_LENGTH = 120
REQUESTS_PER_MINUTE = 30
"""From one address; behind a reverse proxy all devices share one."""
CLAIMS_PER_MINUTE = 3_000
"""From one address, behind which may be many devices; a claim cannot be guessed."""
MISTYPED_PER_MINUTE = 10


class PairingPages:
    def __init__(
        self, pages: Pages, pairing: Pairing, devices: Devices, enroller: Enroller, public_url: str | None
    ) -> None:
        self._pages = pages
        self._devices = devices
        self._enroller = enroller
        self._public_url = public_url
        self._pairing = pairing
        self._requests = Limiter(REQUESTS_PER_MINUTE, 60)
        self._claims = Limiter(CLAIMS_PER_MINUTE, 60)
        self._mistyped = Limiter(MISTYPED_PER_MINUTE, 60)
        pages.public("POST", "/pair", self.request_code)
        pages.public("POST", "/pair/claim", self.claim)
        pages.page("/pair", {"it"}, self.show)
        pages.action(
            "/pair/confirm",
            {"it"},
            self.confirm,
            Form(must=("code", "replace")),
            Form(must=("code", "name", "kind"), may=PARTS),
        )

    # -- for devices

    async def request_code(self, request: web.Request) -> web.StreamResponse:
        self._limit(self._requests, request)
        wanted = await _read(request, PairingRequest)
        if wanted.kind not in self._enroller.kinds():
            raise web.HTTPBadRequest(text=f"kind is one of {', '.join(sorted(self._enroller.kinds()))}")
        program = str(clean(request.headers.get(hdrs.USER_AGENT, "")))[:MAX_PROGRAM_LENGTH]
        waiting = self._pairing.request_code(wanted.claim, wanted.kind, request.remote or "?", program)
        address = f"{self._address(request)}/pair?code={waiting.code}"
        picture = str(segno.make(address, error="m").svg_data_uri(scale=6, border=2, light="#fff"))
        return _answer(PairingOffer(code=waiting.code, valid_seconds=VALID_SECONDS, address=address, picture=picture))

    async def claim(self, request: web.Request) -> web.StreamResponse:
        self._limit(self._claims, request)
        waiting = self._pairing.collect((await _read(request, PairingClaim)).claim)
        if waiting is None:
            return _answer(PairingAnswer(state="gone"))
        enrolment = waiting.enrolment
        if enrolment is None:
            return _answer(PairingAnswer(state="waiting"))
        page = self._enroller.page_of(enrolment)
        if page is None:
            return _answer(PairingAnswer(state="paired", enrolment=enrolment))
        return _answer(PairingAnswer(state="paired", link=page))

    # -- for administrators

    async def show(self, request: web.Request) -> web.StreamResponse:
        code = request.query.get("code", "")
        replaces = self._devices.get(request.query.get("replace", ""))
        if not code:
            return await self._page(request, replaces=replaces)
        waiting = self._found(request, code)
        return await self._page(request, code=code, waiting=waiting, replaces=replaces, is_unknown=waiting is None)

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        code, replace = str(sent.get("code", "")), str(sent.get("replace", ""))
        if self._found(request, code) is None:
            return await self._page(request, status=404, code=code, is_unknown=True)
        old = self._devices.get(replace)
        if replace and old is None:
            raise web.HTTPNotFound(text=f"There is no device {replace}.")
        kind = old.kind if old else str(sent.get("kind", ""))
        if kind not in self._enroller.kinds():
            raise web.HTTPBadRequest(text=f"kind is one of {', '.join(sorted(self._enroller.kinds()))}")
        device = old.id if old else self._enroller.free_id(kind)
        name = old.name if old else str(clean(str(sent.get("name", ""))))[:80] or device
        place = old.where if old else place_in(sent)
        waiting = self._pairing.take(code)
        reached_at = urlsplit(self._address(request)).hostname
        actor = session_of(request).account
        try:
            enrolment = await self._enroller.enrol(device, kind, name, place, actor, reached_at=reached_at)
        except TakenNameError as error:
            raise web.HTTPConflict(text=str(error)) from None
        self._pairing.complete(waiting, enrolment)
        return see(f"/devices/{device}")

    def _found(self, request: web.Request, code: str) -> Waiting | None:
        account = session_of(request).account
        if self._mistyped.is_spent(account):
            raise web.HTTPTooManyRequests(text="Too many wrong codes. Wait a minute.")
        try:
            return self._pairing.find(code)
        except UnknownCodeError:
            self._mistyped.wait_seconds(account)
            return None

    async def _page(self, request: web.Request, *, status: int = 200, **values: Any) -> web.StreamResponse:
        defaults: dict[str, Any] = {"code": "", "waiting": None, "replaces": None, "is_unknown": False}
        return await self._pages.render(
            request,
            "pair.html",
            status=status,
            kinds=sorted(self._enroller.kinds()),
            kind_name=kind_names(self._pages, self._enroller, request),
            shown_at=[(kind, one.shows_code) for kind, one in sorted(self._enroller.driven.items()) if one.shows_code],
            suggestions=suggestions(self._devices),
            **(defaults | values),
        )

    def _address(self, request: web.Request) -> str:
        """The configured public URL, else the address by which the device reached us, which phones can use too."""
        return self._public_url or f"{request.scheme}://{request.host}"

    def _limit(self, limiter: Limiter, request: web.Request) -> None:
        if wait := limiter.wait_seconds(request.remote or "?"):
            raise web.HTTPTooManyRequests(text="Too often.", headers={hdrs.RETRY_AFTER: str(int(wait) + 1)})


async def _read(request: web.Request, model: type[M]) -> M:
    body = await body_of(request, MAX_BYTES)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise web.HTTPBadRequest(text=f"{where}: {first['msg']}") from None


def _answer(message: Payload) -> web.Response:
    return web.Response(
        body=message.encoded(), content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-store"}
    )
