"""The page People: find somebody, see their phone and tasks, say who is in."""

from aiohttp import web

from hub.plugin import Context
from hub.plugin.web import Form, see, session_of
from plugins.directory.people import People
from plugins.directory.service import Directory

MAX_SHOWN = 200


class PeoplePages:
    def __init__(self, context: Context, directory: Directory, people: People) -> None:
        self._pages = context.pages
        self._directory = directory
        self._people = people
        self._devices = context.devices
        context.pages.page("/people", {"front_line", "it"}, self.people_list)
        context.pages.action(
            "/people/{person}/presence",
            {"front_line", "it"},
            self.presence,
            Form(must=("is_in",), may=("q",), choices={"is_in": {"0", "1"}}),
        )
        context.pages.action(
            "/people/read", {"it"}, self.read, Form(may=("accept_loss",), choices={"accept_loss": {"1"}})
        )

    async def people_list(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("q", "")[:80]
        found = self._people.search(text)
        return await self._pages.render(
            request,
            "people.html",
            q=text,
            found=[(employee, self._people.is_in(employee)) for employee in found[:MAX_SHOWN]],
            total=len(found),
            directory=self._directory,
            alarms={self._name(device): at for device, at in self._directory.alarms().items()},
        )

    def _name(self, device: str) -> str:
        found = self._devices.get(device)
        return found.name if found is not None else device

    async def presence(self, request: web.Request) -> web.StreamResponse:
        employee = self._people.get(request.match_info["person"])
        if employee is None:
            raise web.HTTPNotFound(text="There is no such person any more.")
        sent = await request.post()
        await self._directory.set_presence(employee, is_in=sent.get("is_in") == "1", actor=session_of(request).account)
        return see(f"/people?q={sent.get('q', '')}" if sent.get("q") else "/people")

    async def read(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        self._directory.request_read(accept_loss=sent.get("accept_loss") == "1")
        return see("/people")
