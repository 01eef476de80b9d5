"""The page Passes: QR codes for visitors are created, shown once and revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import segno
from aiohttp import web

from devices.access.passes import MAX_DOORS
from devices.contract import door
from devices.contract.payload import clean, new_id
from hub.plugin import N_, Context, Device, MistakeError, now
from hub.plugin.web import Form, see, session_of
from plugins.locks.models import UnknownPassError, VisitPass
from plugins.locks.permissions import Permissions
from plugins.locks.rules.access import Access
from plugins.locks.trust.passes import LONGEST, Passes
from plugins.locks.trust.signing import SigningError
from plugins.locks.web.form_tokens import FormTokens
from plugins.locks.web.times_form import parse_moment

ISSUERS = frozenset[Any]({"caretaker", "front_line"})
MAX_LABEL = 80


class PassPages:
    def __init__(self, context: Context, access: Access, passes: Passes, permissions: Permissions) -> None:
        self._context = context
        self._permissions = permissions
        self._form_tokens = FormTokens()
        self._access = access
        self._passes = passes
        pages = context.pages
        pages.page("/passes", ISSUERS, self.passes)
        pages.action(
            "/passes",
            ISSUERS,
            self.make,
            Form(must=("once", "label", "first", "until"), may=("one_passage",), many=("door",)),
            asks_again=True,
        )
        pages.action("/passes/{pass}/revoke", ISSUERS, self.revoke)

    async def passes(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request)

    async def make(self, request: web.Request) -> web.StreamResponse:
        """The code is only in the response."""
        sent = await request.post()
        label = str(clean(str(sent.get("label", "")))).strip()[:MAX_LABEL]
        known = {device.id for device in self._doors(request)}
        doors = [str(door_id) for door_id in sent.getall("door", []) if door_id in known]
        try:
            first, until = (self._moment(str(sent.get(name, ""))) for name in ("first", "until"))
            self._form_tokens.use(str(sent.get("once", "")))
            made, text = await self._passes.make(
                label, doors, first, until, session_of(request).account, once="one_passage" in sent
            )
        except MistakeError as mistake:
            return await self._page(request, mistake=mistake, sent=sent, status=422)
        except SigningError:
            return await self._page(
                request, mistake=MistakeError(N_("The signer did not sign.")), sent=sent, status=503
            )
        picture = segno.make(text, error="m", micro=False).svg_data_uri(scale=6, border=3)
        return await self._page(request, made=made, picture=picture)

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._passes.revoke(request.match_info["pass"], session_of(request).account)
        except UnknownPassError:
            raise web.HTTPNotFound(text="There is no such pass, or it is revoked already.") from None
        return see("/passes")

    def _moment(self, text: str) -> datetime:
        """Raises MistakeError."""
        return parse_moment(text, self._context.site.zone).astimezone(UTC)

    def _doors(self, request: web.Request) -> list[Device]:
        """Doors that this session may open itself; a pass must not give more than that."""
        roles = session_of(request).roles
        may = [
            device for device in self._context.devices.of_kind(door.KIND)
            if self._permissions.may(roles, "pulse", device.where.zone)
        ]  # fmt: skip
        return sorted(may, key=lambda device: device.name)

    async def _page(self, request: web.Request, *, status: int = 200, **values: Any) -> web.StreamResponse:
        local = now().astimezone(self._context.site.zone)
        shown: dict[str, Any] = {"mistake": None, "sent": None, "made": None, "picture": None}
        return await self._context.pages.render(
            request,
            "passes.html",
            status=status,
            passes=[visit_pass for visit_pass in self._access.rule_book.passes if visit_pass.until > now()],
            state_of=_state_of,
            doors=self._doors(request),
            names={device.id: device.name for device in self._context.devices.of_kind(door.KIND)},
            once=new_id(),
            most_doors=MAX_DOORS,
            longest_days=LONGEST.days,
            first=f"{local:%Y-%m-%dT%H:%M}",
            until=f"{local + timedelta(hours=8):%Y-%m-%dT%H:%M}",
            **(shown | values),
        )


def _state_of(visit_pass: VisitPass) -> str:
    if visit_pass.revoked_at:
        return "revoked"
    if visit_pass.once and visit_pass.used_at:
        return "used"
    return "counts" if visit_pass.first <= now() else "later"
