"""The pages Visits and Evacuation list, and the kiosk's own page."""

from aiohttp import web

from hub.plugin import Context, now
from hub.plugin.web import see, session_of
from plugins.checkin.contract import present
from plugins.checkin.mqtt import Kiosks
from plugins.checkin.service import Visits


class VisitPages:
    def __init__(self, context: Context, visits: Visits, kiosks: Kiosks) -> None:
        self._context = context
        self._visits = visits
        self._kiosks = kiosks
        pages = context.pages
        pages.page("/visits", {"front_line"}, self.visit_list)
        pages.action("/visits/{visit}/check-out", {"front_line"}, self.check_out)
        pages.action("/visits/{visit}/undo", {"front_line"}, self.undo)
        pages.action("/visits/{visit}/here", {"front_line"}, self.is_here)
        pages.page("/visits/evacuation", {"front_line", "caretaker"}, self.evacuation)
        pages.built("/kiosk", "kiosk/index.html")
        pages.built("/kiosk/sw.js", "kiosk/sw.js", {"Service-Worker-Allowed": "/kiosk"})

    async def visit_list(self, request: web.Request) -> web.StreamResponse:
        visits = await self._visits.today()
        return await self._context.pages.render(
            request,
            "visits.html",
            inside=[one for one in visits if one.is_inside],
            left=[one for one in visits if not one.is_inside],
            undo=request.query.get("undo"),
            eager=self._kiosks.too_eager(),
            walked=self._kiosks.walked(),
            phones=await self._visits.phones([one for one in visits if one.is_inside and one.is_for_the_desk]),
        )

    async def check_out(self, request: web.Request) -> web.StreamResponse:
        visit = request.match_info["visit"]
        await self._visits.check_out(visit, session_of(request).account)
        return see("/visits")

    async def is_here(self, request: web.Request) -> web.StreamResponse:
        await self._visits.is_here(request.match_info["visit"], session_of(request).account)
        return see("/visits")

    async def undo(self, request: web.Request) -> web.StreamResponse:
        await self._visits.undo_check_out(request.match_info["visit"], session_of(request).account)
        return see("/visits")

    async def evacuation(self, request: web.Request) -> web.StreamResponse:
        """All plugins' answers; one that gives none is named as missing (I6)."""
        answers = await self._context.hooks.named(present)
        people = sorted((one for _, found in answers for one in found), key=lambda one: one.since)
        return await self._context.pages.render(
            request,
            "evacuation.html",
            people=people,
            sources=[name for name, _ in answers],
            made_at=now(),
            is_from_memory=self._context.store.problem is not None,
        )
