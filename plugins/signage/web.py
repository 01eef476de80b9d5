"""The page Screens: which screens play, and the notices on them; and the player's own page."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from devices.contract import screen
from hub.plugin import Context, MistakeError, now
from hub.plugin.web import Form, see, session_of
from plugins.signage.models import ScreenNotice
from plugins.signage.notice_form import SEVERITIES, form_fields, parse_notice
from plugins.signage.service import Signage


class ScreenPages:
    def __init__(self, context: Context, signage: Signage) -> None:
        self._context = context
        self._signage = signage
        pages = context.pages
        pages.page("/screens", {"front_line", "it"}, self.screens)
        written = [f"{part}_{language}" for part in ("title", "text") for language in context.site.languages]
        form = Form(
            must=(*written, "severity", "since", "until", "where"),
            many=("screen",),
            choices={"severity": SEVERITIES, "where": ("all", "chosen")},
        )
        pages.action("/screens/notices", {"front_line"}, self.put_up, form)
        pages.page("/screens/notices/{notice}", {"front_line"}, self.notice)
        pages.action("/screens/notices/{notice}", {"front_line"}, self.change, form)
        pages.action("/screens/notices/{notice}/take-down", {"front_line"}, self.take_down)
        pages.action(
            "/screens/{screen}/power",
            {"front_line", "it"},
            self.power,
            Form(must=("on",), choices={"on": {"yes", "no"}}),
        )
        pages.built("/screen", "screen/index.html")
        pages.built("/screen/sw.js", "screen/sw.js", {"Service-Worker-Allowed": "/screen"})

    async def screens(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, form_fields(None, self._context.site))

    async def notice(self, request: web.Request) -> web.StreamResponse:
        notice = await self._found(request)
        return await self._edit(request, notice, form_fields(notice, self._context.site))

    async def put_up(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        try:
            made = parse_notice(sent, self._context.site, self._screens())
        except MistakeError as mistake:
            return await self._page(request, sent, mistake)
        await self._signage.put_up(made, session_of(request).account)
        return see("/screens")

    async def change(self, request: web.Request) -> web.StreamResponse:
        notice, sent = await self._found(request), await request.post()
        try:
            changed = parse_notice(sent, self._context.site, self._screens(), notice)
        except MistakeError as mistake:
            return await self._edit(request, notice, sent, mistake)
        if not await self._signage.change(changed, session_of(request).account):
            raise _gone()
        return see("/screens")

    async def take_down(self, request: web.Request) -> web.StreamResponse:
        await self._signage.take_down(request.match_info["notice"], session_of(request).account)
        return see("/screens")

    async def power(self, request: web.Request) -> web.StreamResponse:
        device = self._context.devices.get(request.match_info["screen"])
        if device is None or device.kind != screen.KIND:
            raise web.HTTPNotFound(text="There is no such screen.")
        is_on = (await request.post()).get("on") == "yes"
        await self._signage.switch(device.id, is_on=is_on, actor=session_of(request).account)
        return see("/screens")

    async def _page(
        self, request: web.Request, fields: Mapping[str, Any], mistake: MistakeError | None = None
    ) -> web.StreamResponse:
        devices, programme = self._context.devices, await self._signage.programme()
        return await self._context.pages.render(
            request,
            "screens.html",
            status=200 if mistake is None else 422,
            screen_names={device.id: device.name for device in devices.of_kind(screen.KIND)},
            vitals={device.id: devices.vitals(device.id) for device in devices.of_kind(screen.KIND)},
            notices=programme.notices,
            own={notice.id: notice for notice in await self._signage.notices()},
            now=now(),
            problem=self._signage.problem,
            off=self._signage.off,
            **self._of_form(fields, mistake),
        )

    async def _edit(
        self, request: web.Request, notice: ScreenNotice, fields: Mapping[str, Any], mistake: MistakeError | None = None
    ) -> web.StreamResponse:
        status = 200 if mistake is None else 422
        return await self._context.pages.render(
            request, "notice.html", status=status, notice=notice, **self._of_form(fields, mistake)
        )

    def _of_form(self, fields: Mapping[str, Any], mistake: MistakeError | None) -> dict[str, Any]:
        return {
            "fields": fields,
            "chosen": set(fields.getall("screen", [])),  # type: ignore[attr-defined] # a MultiDict
            "mistake": mistake,
            "screens": self._context.devices.of_kind(screen.KIND),
            "site_languages": self._context.site.languages,
        }

    def _screens(self) -> set[str]:
        return {device.id for device in self._context.devices.of_kind(screen.KIND)}

    async def _found(self, request: web.Request) -> ScreenNotice:
        wanted = request.match_info["notice"]
        found = next((notice for notice in await self._signage.notices() if notice.id == wanted), None)
        if found is None:
            raise _gone()
        return found


def _gone() -> web.HTTPNotFound:
    return web.HTTPNotFound(text="There is no such notice any more.")
