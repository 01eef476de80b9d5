"""The page Screens: which screens play, and the notices on them; and the player's own page."""

from datetime import UTC, datetime

from aiohttp import web

from devices.contract import screen
from devices.contract.messages import clean
from hub.plugin import Context
from hub.web.forms import Form
from hub.web.pages import see
from hub.web.security import session_of
from plugins.signage.service import Signage, make_notice

SEVERITIES = ("info", "warning", "danger")
MOST_TITLE, MOST_TEXT = 80, 400


class ScreenPages:
    def __init__(self, context: Context, signage: Signage) -> None:
        self._context = context
        self._signage = signage
        pages = context.pages
        pages.page("/screens", {"front_line", "it"}, self.screens)
        written = [f"{part}_{one}" for part in ("title", "text") for one in context.site.languages]
        pages.action(
            "/screens/notices",
            {"front_line"},
            self.put_up,
            Form(must=(*written, "severity", "until"), choices={"severity": SEVERITIES}),
        )
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
        devices = self._context.devices
        return await self._context.pages.render(
            request,
            "screens.html",
            screens=[(device, devices.vitals(device.id)) for device in devices.of_kind(screen.KIND)],
            programme=await self._signage.programme(),
            own={one.id for one in await self._signage.notices()},
            problem=self._signage.problem,
            off=self._signage.off,
            severities=SEVERITIES,
            site_languages=self._context.site.languages,
        )

    async def put_up(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        titles = self._translated(sent, "title", MOST_TITLE)
        texts = self._translated(sent, "text", MOST_TEXT)
        severity = str(sent.get("severity", "info"))
        if not titles or severity not in SEVERITIES:
            raise web.HTTPBadRequest(text="A notice needs a title in one language at least.")
        await self._signage.put_up(
            make_notice(severity, titles, texts, self._until(str(sent.get("until", "")))), session_of(request).account
        )
        return see("/screens")

    async def power(self, request: web.Request) -> web.StreamResponse:
        device = self._context.devices.get(request.match_info["screen"])
        if device is None or device.kind != screen.KIND:
            raise web.HTTPNotFound(text="There is no such screen.")
        is_on = (await request.post()).get("on") == "yes"
        await self._signage.switch(device.id, is_on=is_on, actor=session_of(request).account)
        return see("/screens")

    async def take_down(self, request: web.Request) -> web.StreamResponse:
        await self._signage.take_down(request.match_info["notice"], session_of(request).account)
        return see("/screens")

    def _translated(self, sent: object, field: str, most: int) -> dict[str, str]:
        get = sent.get  # type: ignore[attr-defined]
        cleaned = {one: str(clean(str(get(f"{field}_{one}", ""))))[:most] for one in self._context.site.languages}
        return {language: text for language, text in cleaned.items() if text}

    def _until(self, text: str) -> datetime | None:
        """A browser's local date and time, by the site's clock. Raises HTTPBadRequest."""
        if not text:
            return None
        try:
            return datetime.fromisoformat(text).replace(tzinfo=self._context.site.zone).astimezone(UTC)
        except (ValueError, OverflowError):
            raise web.HTTPBadRequest(text="Until: expected a date and a time.") from None
