"""The page Passages: where an employee's keys have been used. Few may search, and the reason is audited."""

from typing import Any

from aiohttp import web

from devices.contract import door
from hub.plugin import Context, MistakeError
from hub.plugin.web import Form, session_of
from plugins.locks.config import Settings
from plugins.locks.history.log import Log
from plugins.locks.rules.access import Access
from plugins.locks.rules.naming import find_person
from plugins.locks.web.doors import DoorPages, required_reason

MAX_PASSAGES = 500


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
            reason = required_reason(sent)
            person = find_person(str(sent.get("person", "")), self._access.names)
        except MistakeError as mistake:
            return await self._page(request, mistake=mistake, sent=sent, status=422)
        found = await self._log.of_person(person, reason, session_of(request).account, MAX_PASSAGES)
        return await self._page(request, of=self._access.names[person].name, entries=found)

    def _must_search(self, request: web.Request) -> None:
        """Raises HTTPForbidden unless the session has all of the roles."""
        if not session_of(request).roles >= self._settings.may_search_people:
            raise web.HTTPForbidden(
                text=f"This page takes all of the roles {', '.join(sorted(self._settings.may_search_people))}."
            )

    async def _page(self, request: web.Request, status: int = 200, **values: Any) -> web.StreamResponse:
        shown: dict[str, Any] = {"entries": None, "of": "", "mistake": None, "sent": {}}
        names = {device.id: device.name for device in self._context.devices.of_kind(door.KIND)}
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
