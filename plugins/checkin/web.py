"""The pages Visits, Register a visitor and Evacuation list, and the kiosk's own page."""

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from devices.contract.payload import Name, clean, new_id
from hub.plugin import N_, Context, now
from hub.plugin.hooks import UnansweredError
from hub.plugin.web import Form, see, session_of
from plugins.checkin.contract import present
from plugins.checkin.models import NewVisit, TooManyVisitsError, UnknownHostError
from plugins.checkin.mqtt import Kiosks
from plugins.checkin.service import Visits

MAX_HOSTS = 12
NAME = TypeAdapter[str](Name)


class VisitPages:
    def __init__(self, context: Context, visits: Visits, kiosks: Kiosks) -> None:
        self._context = context
        self._visits = visits
        self._kiosks = kiosks
        pages = context.pages
        pages.page("/visits", {"front_line"}, self.visit_list)
        pages.page("/visits/new", {"front_line"}, self.new_visit)
        pages.action(
            "/visits/new", {"front_line"}, self.register, Form(must=("q", "visitor", "company"), may=("host",))
        )
        pages.action("/visits/{visit}/check-out", {"front_line"}, self.check_out)
        pages.action("/visits/{visit}/undo", {"front_line"}, self.undo)
        pages.action("/visits/{visit}/here", {"front_line"}, self.confirm)
        pages.page("/visits/evacuation", {"front_line", "caretaker"}, self.evacuation)
        pages.built("/kiosk", "kiosk/index.html")
        pages.built("/kiosk/sw.js", "kiosk/sw.js", {"Service-Worker-Allowed": "/kiosk"})

    async def visit_list(self, request: web.Request) -> web.StreamResponse:
        visits = await self._visits.today()
        return await self._context.pages.render(
            request,
            "visits.html",
            inside=[visit for visit in visits if visit.is_inside],
            left=[visit for visit in visits if not visit.is_inside],
            undo=request.query.get("undo"),
            eager=self._kiosks.over_limit(),
            walked=self._kiosks.enumerated(),
            phones=await self._visits.phones([visit for visit in visits if visit.is_inside and visit.is_for_the_desk]),
        )

    async def new_visit(self, request: web.Request) -> web.StreamResponse:
        """The form for a visitor who does not use the kiosk."""
        return await self._form(request, {"q": request.query.get("q", "")})

    async def register(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        typed = {name: str(clean(str(value))) for name, value in sent.items()}
        problem = await self._register(typed, session_of(request).account)
        return see("/visits") if problem is None else await self._form(request, typed, problem)

    async def _register(self, typed: dict[str, str], actor: str) -> str | None:
        """None, or why the visit was not registered, for the desk."""
        try:
            visitor = NAME.validate_python(typed["visitor"])
            company = NAME.validate_python(typed["company"]) if typed["company"] else None
        except ValidationError:
            return N_("Write the visitor's name with letters, and no more than 80 of them.")
        if not typed.get("host"):
            return N_("Choose who the visitor meets.")
        new = NewVisit(new_id(), typed["host"], visitor, company, self._context.site.languages[0], now(), actor)
        try:
            await self._visits.register(new)
        except UnknownHostError:
            return N_("This person takes no visits. Choose somebody else.")
        except TooManyVisitsError:
            return N_("Too many visitors at once. Wait a minute.")
        except UnansweredError:
            return N_("The list of those who work here does not answer. Try again soon.")
        return None

    async def _form(
        self, request: web.Request, typed: dict[str, str], problem: str | None = None
    ) -> web.StreamResponse:
        hosts = await self._visits.find_hosts(typed["q"], MAX_HOSTS, device=None)
        return await self._context.pages.render(
            request,
            "new_visit.html",
            status=200 if problem is None else 422,
            typed={"host": "", "visitor": "", "company": ""} | typed,
            hosts=hosts,
            problem=problem,
        )

    async def check_out(self, request: web.Request) -> web.StreamResponse:
        visit = request.match_info["visit"]
        await self._visits.check_out(visit, session_of(request).account)
        return see("/visits")

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        await self._visits.confirm(request.match_info["visit"], session_of(request).account)
        return see("/visits")

    async def undo(self, request: web.Request) -> web.StreamResponse:
        await self._visits.undo_check_out(request.match_info["visit"], session_of(request).account)
        return see("/visits")

    async def evacuation(self, request: web.Request) -> web.StreamResponse:
        """All plugins' answers; one that gives none is named as missing (I6)."""
        replies = await self._context.hooks.all(present)
        people = sorted((person for answer in replies for person in answer), key=lambda person: person.since)
        return await self._context.pages.render(
            request,
            "evacuation.html",
            people=people,
            sources=[name for name, _ in replies.by_plugin],
            missing=replies.missing,
            made_at=now(),
            is_from_memory=self._context.store.problem is not None,
        )
