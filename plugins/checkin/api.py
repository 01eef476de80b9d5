"""Visits and the evacuation list, for programs."""

from datetime import datetime
from typing import Any

from pydantic import Field

from devices.contract.messages import Id
from hub.api.operations import Call, Document, Nothing, Page, PageQuery, Query, found, page_of
from hub.hooks.specifications import Answer, Role, present
from hub.plugin import Context
from hub.store.store import now
from hub.web.problems import ProblemError
from plugins.checkin.service import Visits
from plugins.checkin.timing import Timing


class VisitPath(Query):
    visit: Id


class VisitDocument(Document):
    """One stay of one visitor. What is personal is null once it has been deleted."""

    id: Id
    kiosk: Id
    host: str | None = Field(description="the host's id")
    host_name: str | None
    host_unit: str | None
    visitor: str | None
    company: str | None
    language: str
    number: str | None = Field(description="what the visitor checks out with")
    arrived_at: datetime = Field(description="when the visitor tapped, by the kiosk's clock")
    registered_at: datetime = Field(description="when the hub got it, by the hub's clock")
    timing: Timing | None = Field(
        description="clock: the kiosk's clock is wrong; waited: it waited in the kiosk; "
        "late: so long that the visitor may have gone, and the host is not told"
    )
    told: bool | None = Field(description="null: not known yet; false: the desk tells the host")
    answer: Answer | None
    answered_at: datetime | None
    answer_seen: bool | None = Field(
        description="null: the kiosk has not said; false: nobody waited on its screen any more"
    )
    left_at: datetime | None
    left_by: str | None


class VisitPage(Page[VisitDocument]):
    """Today's visits and whoever is inside still, the newest first."""


class PresentDocument(Document):
    """Somebody who is in the building."""

    name: str
    belongs_to: str
    since: datetime
    note: str
    late_since: datetime | None = Field(
        description="when they registered, where that came so late that they may have gone"
    )


class EvacuationDocument(Document):
    """Who is in the building, by all plugins that answered; one that did not is not among the sources."""

    made_at: datetime
    sources: list[str]
    people: list[PresentDocument]


class VisitApi:
    def __init__(self, context: Context, visits: Visits) -> None:
        self._context = context
        self._visits = visits
        api = context.api
        look: dict[str, Any] = {"scope": "visits:read", "is_personal": True}
        act: dict[str, Any] = {"scope": "visits:write", "roles": {"front_line"}, "is_personal": True}
        one: dict[str, Any] = {"parameters": VisitPath, "answer": VisitDocument}
        desk: set[Role] = {"front_line"}
        api.offer(
            "GET", "/visits", self.visits, summary="Visits", roles=desk, answer=VisitPage, query=PageQuery, **look
        )
        api.offer("GET", "/visits/{visit}", self.visit, summary="One visit", roles=desk, **one, **look)
        api.offer(
            "POST",
            "/visits/{visit}/check-out",
            self.check_out,
            summary="The visitor has left",
            problems=("conflict",),
            **one,
            **act,
        )
        api.offer(
            "POST",
            "/visits/{visit}/undo-check-out",
            self.undo,
            summary="The visitor is here still",
            problems=("conflict",),
            **one,
            **act,
        )
        api.offer(
            "POST",
            "/visits/{visit}/confirm",
            self.confirm,
            summary="A visitor whose registration came late is here: tell the host",
            problems=("conflict",),
            **one,
            **act,
        )
        api.offer(
            "GET",
            "/evacuation",
            self.evacuation,
            summary="Who is in the building",
            roles={"front_line", "caretaker"},
            answer=EvacuationDocument,
            **look,
        )

    async def visits(self, call: Call[Nothing, PageQuery, Nothing]) -> VisitPage:
        part, following = page_of(
            await self._visits.today(),
            lambda one: f"{one.registered_at.isoformat(timespec='microseconds')} {one.id}",
            call.query,
            newest_first=True,
        )
        return VisitPage(items=[VisitDocument.model_validate(one) for one in part], next=following)

    async def visit(self, call: Call[VisitPath, Nothing, Nothing]) -> VisitDocument:
        return await self._found(call.path)

    async def check_out(self, call: Call[VisitPath, Nothing, Nothing]) -> VisitDocument:
        if (await self._found(call.path)).left_at is not None:
            raise ProblemError("conflict", "They have left already.")
        await self._visits.check_out(call.path.visit, call.caller.name)
        return await self._found(call.path)

    async def confirm(self, call: Call[VisitPath, Nothing, Nothing]) -> VisitDocument:
        visit = await self._found(call.path)
        if visit.timing != "late" or visit.left_at is not None:
            raise ProblemError("conflict", "There is nothing to confirm about this visit.")
        await self._visits.is_here(call.path.visit, call.caller.name)
        return await self._found(call.path)

    async def undo(self, call: Call[VisitPath, Nothing, Nothing]) -> VisitDocument:
        visit = await self._found(call.path)
        if visit.left_at is None or visit.visitor is None:
            raise ProblemError("conflict", "They have not left, or too long ago.")
        await self._visits.undo_check_out(call.path.visit, call.caller.name)
        return await self._found(call.path)

    async def evacuation(self, _call: Call[Nothing, Nothing, Nothing]) -> EvacuationDocument:
        answers = await self._context.hooks.named(present)
        people = sorted((one for _, some in answers for one in some), key=lambda one: one.since)
        return EvacuationDocument(
            made_at=now(),
            sources=[name for name, _ in answers],
            people=[PresentDocument.model_validate(one) for one in people],
        )

    async def _found(self, path: VisitPath) -> VisitDocument:
        return VisitDocument.model_validate(found(await self._visits.get(path.visit), "such visit"))
