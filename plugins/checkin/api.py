"""Visits and the evacuation list, for programs."""

from datetime import datetime
from typing import Any

from pydantic import Field

from devices.contract.payload import Id, Language, Name, new_id
from hub.plugin import Context, now
from hub.plugin.api import (
    Call,
    Document,
    FieldError,
    Nothing,
    Page,
    PageQuery,
    ProblemError,
    Query,
    Request,
    found,
    operation,
    page_of,
)
from hub.plugin.hooks import UnansweredError
from plugins.checkin.contract import present
from plugins.checkin.models import NewVisit, TooManyVisitsError, UnknownHostError
from plugins.checkin.service import Visits
from plugins.checkin.timing import Timing
from plugins.notify.contract import Answer


class VisitPath(Query):
    visit: Id


class VisitDocument(Document):
    """One stay of one visitor. What is personal is null once it has been deleted."""

    id: Id
    kiosk: Id | None = Field(description="where the visitor registered; null: at the desk, or by a program")
    host: str | None = Field(description="the host's id")
    host_name: str | None
    host_unit: str | None
    visitor: str | None
    company: str | None
    language: str
    number: str | None = Field(description="what the visitor checks out with")
    arrived_at: datetime = Field(description="when the visitor registered, by the kiosk's clock where it was at one")
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


class VisitRequest(Request):
    """A visitor who has come. The host is told, as if the visitor had registered at a kiosk."""

    host: Id = Field(description="the employee's id, of somebody who can be visited")
    visitor: Name
    company: Name | None = None
    language: Language | None = Field(default=None, description="the visitor's; null: the site's first")


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
    """Who is in the building, by all plugins that answered."""

    made_at: datetime
    sources: list[str]
    missing: list[str] = Field(description="plugins that could not answer: somebody may be missing from the list")
    people: list[PresentDocument]


READ: dict[str, Any] = {"scope": "visits:read", "roles": {"front_line"}, "is_personal": True}
EVACUATION: dict[str, Any] = READ | {"roles": {"front_line", "caretaker"}}
WRITE: dict[str, Any] = {"scope": "visits:write", "roles": {"front_line"}, "is_personal": True}


class VisitApi:
    def __init__(self, context: Context, visits: Visits) -> None:
        self._context = context
        self._visits = visits

    @operation("GET", "/visits", summary="Visits", **READ)
    async def visits(self, call: Call[Nothing, PageQuery, Nothing]) -> VisitPage:
        part, following = page_of(
            await self._visits.today(),
            lambda visit: f"{visit.registered_at.isoformat(timespec='microseconds')} {visit.id}",
            call.query,
            newest_first=True,
        )
        return VisitPage(items=[VisitDocument.model_validate(visit) for visit in part], next=following)

    @operation("GET", "/visits/{visit}", summary="One visit", **READ)
    async def visit(self, call: Call[VisitPath, Nothing, Nothing]) -> VisitDocument:
        return await self._found(call.path)

    @operation(
        "POST",
        "/visits",
        summary="Register a visitor, and tell the host",
        status=201,
        location="/visits/{id}",
        **WRITE,
    )
    async def register(self, call: Call[Nothing, Nothing, VisitRequest]) -> VisitDocument:
        wanted, id_ = call.body, new_id()
        language = wanted.language or self._context.site.languages[0]
        new = NewVisit(id_, wanted.host, wanted.visitor, wanted.company, language, now(), call.caller.name)
        try:
            await self._visits.register(new)
        except UnknownHostError:
            nobody = FieldError(at="body/host", detail="nobody who can be visited")
            raise ProblemError("invalid", "Look at `errors`.", errors=[nobody]) from None
        except TooManyVisitsError as error:
            headers = {"Retry-After": str(int(error.wait_seconds) + 1)}
            raise ProblemError("too-many-requests", "So many visitors at once?", headers=headers) from None
        except UnansweredError:
            raise ProblemError("unavailable", "The directory does not answer who can be visited.") from None
        return await self._found(VisitPath(visit=id_))

    @operation("POST", "/visits/{visit}/check-out", summary="The visitor has left", problems=("conflict",), **WRITE)
    async def check_out(self, call: Call[VisitPath, Nothing, Nothing]) -> VisitDocument:
        if (await self._found(call.path)).left_at is not None:
            raise ProblemError("conflict", "They have left already.")
        await self._visits.check_out(call.path.visit, call.caller.name)
        return await self._found(call.path)

    @operation(
        "POST",
        "/visits/{visit}/confirm",
        summary="A visitor whose registration came late is here: tell the host",
        problems=("conflict",),
        **WRITE,
    )
    async def confirm(self, call: Call[VisitPath, Nothing, Nothing]) -> VisitDocument:
        visit = await self._found(call.path)
        if visit.timing != "late" or visit.left_at is not None:
            raise ProblemError("conflict", "There is nothing to confirm about this visit.")
        await self._visits.confirm(call.path.visit, call.caller.name)
        return await self._found(call.path)

    @operation(
        "POST", "/visits/{visit}/undo-check-out", summary="The visitor is here still", problems=("conflict",), **WRITE
    )
    async def undo(self, call: Call[VisitPath, Nothing, Nothing]) -> VisitDocument:
        visit = await self._found(call.path)
        if visit.left_at is None or visit.visitor is None:
            raise ProblemError("conflict", "They have not left, or too long ago.")
        await self._visits.undo_check_out(call.path.visit, call.caller.name)
        return await self._found(call.path)

    @operation("GET", "/evacuation", summary="Who is in the building", **EVACUATION)
    async def evacuation(self, _call: Call[Nothing, Nothing, Nothing]) -> EvacuationDocument:
        replies = await self._context.hooks.all(present)
        people = sorted((person for people_here in replies for person in people_here), key=lambda person: person.since)
        return EvacuationDocument(
            made_at=now(),
            sources=[name for name, _ in replies.by_plugin],
            missing=replies.missing,
            people=[PresentDocument.model_validate(person) for person in people],
        )

    async def _found(self, path: VisitPath) -> VisitDocument:
        return VisitDocument.model_validate(found(await self._visits.get(path.visit), "such visit"))
