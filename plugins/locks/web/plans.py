"""The pages Floor plans: live doors on a picture; editors place them by dragging or by keyboard."""

from math import isfinite
from typing import Any

from aiohttp import hdrs, web

from devices.contract import door
from devices.contract.payload import clean
from hub.plugin import Context, MistakeError
from hub.plugin.web import Form, number_in, see, session_of
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import EDITORS
from plugins.locks.plans import Plan, Plans, UnknownPlanError
from plugins.locks.web.doors import VIEWERS, DoorPages

MAX_NAME = 80
STILL = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""Content-Security-Policy of the picture: it may draw and run nothing."""
MARKERS_ACROSS = 20
"""The longer side of a plan in widths of a marker."""


class PlanPages:
    def __init__(self, context: Context, plans: Plans, locks: Locks, doors: DoorPages) -> None:
        self._context = context
        self._plans = plans
        self._locks = locks
        self._doors = doors
        pages = context.pages
        pages.page("/plans", VIEWERS, self.all)
        pages.action("/plans", EDITORS, self.add, Form(must=("name", "picture")))
        pages.page("/plans/{plan}", VIEWERS, self.plan)
        pages.page("/plans/{plan}/picture.svg", VIEWERS, self.picture)
        pages.action(
            "/plans/{plan}/place",
            EDITORS,
            self.place,
            Form(must=("door", "x", "y")),
            Form(must=("door", "away"), choices={"away": {"yes"}}),
        )
        pages.action("/plans/{plan}/drop", EDITORS, self.drop)

    async def all(self, request: web.Request) -> web.StreamResponse:
        plans = await self._plans.all()
        if len(plans) == 1 and not session_of(request).may(EDITORS):
            return see(f"/plans/{plans[0].id}")
        return await self._list(request)

    async def add(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        file = sent.get("picture")
        name = str(clean(str(sent.get("name", "")))).strip()[:MAX_NAME]
        try:
            picture, shown_as = (file.file.read(), file.filename) if isinstance(file, web.FileField) else (b"", "")
            called = name or str(clean(shown_as))[:MAX_NAME]
            number = await self._plans.add(called, picture, session_of(request).account)
        except MistakeError as mistake:
            return await self._list(request, mistake=mistake, name=name, status=422)
        return see(f"/plans/{number}?edit=1")

    async def plan(self, request: web.Request) -> web.StreamResponse:
        found = await self._asked_for(request)
        commands = await self._locks.commands_by_people()
        placed = {place.door: place for place in await self._plans.placed()}
        doors = [self._doors.view(request, device, commands) for device in self._context.devices.of_kind(door.KIND)]
        is_edited = "edit" in request.query and session_of(request).may(EDITORS)
        return await self._context.pages.render(
            request,
            "plan.html",
            plan=found,
            plans=await self._plans.all(),
            shown=[(view, placed[view.device.id]) for view in doors if _is_on(placed.get(view.device.id), found)],
            others=[view for view in doors if not _is_on(placed.get(view.device.id), found)],
            unit=max(found.width, found.height) / MARKERS_ACROSS,
            is_edited=is_edited,
            may_set=session_of(request).may(EDITORS),
            **self._doors.words,
        )

    async def picture(self, request: web.Request) -> web.StreamResponse:
        try:
            text = await self._plans.picture(_number(request))
        except UnknownPlanError:
            raise web.HTTPNotFound(text="There is no such plan.") from None
        headers = {"Content-Security-Policy": STILL, hdrs.CACHE_CONTROL: "private, max-age=3600"}
        return web.Response(text=text, content_type="image/svg+xml", charset="utf-8", headers=headers)

    async def place(self, request: web.Request) -> web.StreamResponse:
        """Place a door: by the script after a move, or by the button that puts it into the middle."""
        sent, number, actor = await request.post(), _number(request), session_of(request).account
        device = self._context.devices.get(str(sent.get("door", "")))
        if device is None or device.kind != door.KIND:
            raise web.HTTPNotFound(text="There is no such door.")
        if "away" in sent:
            await self._plans.take_away(device.id, actor)
            return see(f"/plans/{number}?edit=1")
        try:
            x, y = (_number_in(sent, name) for name in ("x", "y"))
            await self._plans.place(number, device.id, x, y, actor)
        except ValueError:
            raise web.HTTPBadRequest(text="x and y are numbers, in the units of the picture.") from None
        except UnknownPlanError:
            raise web.HTTPNotFound(text="There is no such plan.") from None
        return see(f"/plans/{number}?edit=1")

    async def drop(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._plans.drop(_number(request), session_of(request).account)
        except UnknownPlanError:
            raise web.HTTPNotFound(text="There is no such plan.") from None
        return see("/plans")

    async def _list(
        self, request: web.Request, *, mistake: MistakeError | None = None, name: str = "", status: int = 200
    ) -> web.StreamResponse:
        return await self._context.pages.render(
            request,
            "plans.html",
            status=status,
            plans=await self._plans.all(),
            may_set=session_of(request).may(EDITORS),
            mistake=mistake,
            name=name,
        )

    async def _asked_for(self, request: web.Request) -> Plan:
        number = _number(request)
        found = next((plan for plan in await self._plans.all() if plan.id == number), None)
        if found is None:
            raise web.HTTPNotFound(text="There is no such plan.")
        return found


def _is_on(where: Any, plan: Plan) -> bool:
    return where is not None and where.plan == plan.id


def _number_in(sent: Any, name: str) -> float:
    """Raises ValueError."""
    found = float(str(sent.get(name, "")))
    if not isfinite(found):
        raise ValueError(name)
    return found


def _number(request: web.Request) -> int:
    if not (number := number_in(request.match_info["plan"])):
        raise web.HTTPNotFound(text="There is no such plan.")
    return number
