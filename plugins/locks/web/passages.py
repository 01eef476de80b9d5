"""The page Passages: where an employee's keys have been used, for few, with a reason that stands in the audit log."""

from typing import Any

from aiohttp import web

from devices.contract import door
from hub.plugin import Context
from hub.plugin.web import Form, session_of
from plugins.locks.config import Settings
from plugins.locks.history.log import Log
from plugins.locks.mistakes import MistakeError
from plugins.locks.rules.access import Access
from plugins.locks.rules.naming import person_in
from plugins.locks.web.doors import DoorPages, reason_of

MOST_PASSAGES = 500


class PassagePages:
    def __init__(self, context: Context, settings: Settings, access: Access, log: Log, doors: DoorPages) -> None:
        self._context = context
        self._settings = settings
        self._access = access
        self._log = log
        self._doors = doors
        context.pages.page("/passages", settings.may_search_people, self.ask)
        context.pages.action(
            "/passages", settings.may_search_people, self.find, Form(must=("person", "reason")), asks_again=True
        )

    async def ask(self, request: web.Request) -> web.StreamResponse:
        self._must_search(request)
        return await self._page(request)

    async def find(self, request: web.Request) -> web.StreamResponse:
        self._must_search(request)
        sent = await request.post()
        try:
            reason = reason_of(sent)
            person = person_in(str(sent.get("person", "")), self._access.names)
        except MistakeError as mistake:
            return await self._page(request, mistake=mistake, sent=sent, status=422)
        found = await self._log.of_person(person, reason, session_of(request).account, MOST_PASSAGES)
        return await self._page(request, of=self._access.names[person].name, entries=found)

    def _must_search(self, request: web.Request) -> None:
        """One role is not enough."""
        if not session_of(request).roles >= self._settings.may_search_people:
            raise web.HTTPForbidden(
                text=f"This page takes all of the roles {', '.join(sorted(self._settings.may_search_people))}."
            )

    async def _page(self, request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
        shown: dict[str, Any] = {"entries": None, "of": "", "mistake": None, "sent": {}}
        names = {one.id: one.name for one in self._context.devices.of_kind(door.KIND)}
        return await self._context.pages.render(
            request,
            "passages.html",
            status=status,
            people=self._access.names,
            names=names,
            keep_days=self._settings.keep_days,
            **self._doors.words,
            **(shown | values),
        )
