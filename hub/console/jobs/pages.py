"""The page Jobs: what plugins do on a schedule, what waits to be done, and what was given up."""

from aiohttp import web

from hub.console.jobs.changing import UnknownJobError, change
from hub.hooks.specifications import Role
from hub.store.store import Store
from hub.web.forms import Form
from hub.web.pages import Pages, see
from hub.web.security import session_of
from hub.work.jobs import Jobs

WHO: frozenset[Role] = frozenset({"it"})


class JobPages:
    def __init__(self, pages: Pages, store: Store, jobs: Jobs) -> None:
        self._pages = pages
        self._store = store
        self._jobs = jobs
        pages.page("/jobs", WHO, self.show)
        form = Form(must=("plugin", "job", "key", "do"), choices={"do": {"run", "drop"}})
        pages.action("/jobs", WHO, self.change, form)

    async def show(self, request: web.Request) -> web.StreamResponse:
        states = await self._jobs.states()
        return await self._pages.render(
            request,
            "jobs.html",
            given_up=[one for one in states if one.given_up_at is not None],
            scheduled=[one for one in states if one.is_scheduled],
            waiting=[one for one in states if not one.is_scheduled and one.given_up_at is None],
        )

    async def change(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        plugin, job, key, do = (str(sent[name]) for name in ("plugin", "job", "key", "do"))
        actor = session_of(request).account
        try:
            await change(self._store, self._jobs, actor, plugin, job, key, runs=do == "run")
        except UnknownJobError:
            raise web.HTTPNotFound(text="There is no such job any more; it may have been done.") from None
        return see("/jobs")
