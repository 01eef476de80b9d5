"""Days with other opening hours, of the site or a service, for programs."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from devices.contract.payload import Id
from hub.api.operations import Call, Document, Nothing, Page, PageQuery, Query, Request, found, operation, page_of
from hub.calendar.exceptions import DayError, Exceptions, SetDay
from hub.calendar.opening import SITE, UnknownServiceError
from hub.configuration.opening_hours import MAX_SPANS, as_texts, spans_of
from hub.web.problems import FieldError, ProblemError

CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
SpanText = Annotated[str, StringConstraints(pattern=f"^{CLOCK}-{CLOCK}$")]


class DayPath(Query):
    day: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(-[A-Za-z0-9_-]{1,64})?$")]


class NewDay(Request):
    """Other hours on one date than the week's or a holiday's."""

    service: Id | None = Field(default=None, description="null: the site itself")
    on: date = Field(description="from today on, and within a year")
    spans: list[SpanText] = Field(
        max_length=MAX_SPANS, description="such as `09:00-15:30`, by the site's clock; none: closed"
    )


class SetDayDocument(Document):
    """A day that somebody has set, which goes before the configuration's."""

    id: str = Field(description="the date, and the service if it is a service's")
    service: Id | None
    on: date
    spans: list[str]


class DayPage(Page[SetDayDocument]):
    """Days that somebody has set, by date."""


LOOK: dict[str, Any] = {"scope": "opening-hours:read", "roles": {"front_line", "it"}}
ACT: dict[str, Any] = {"scope": "opening-hours:write", "roles": {"front_line", "it"}}


class OpeningApi:
    """`changed` is called when the site or a service is open on other days or hours than before."""

    def __init__(self, exceptions: Exceptions, changed: Callable[[], Awaitable[None]]) -> None:
        self._exceptions = exceptions
        self._changed = changed

    @operation("GET", "/opening-hours/days", summary="Days with other opening hours", **LOOK)
    async def days(self, call: Call[Nothing, PageQuery, Nothing]) -> DayPage:
        part, following = page_of(self._exceptions.days, _id, call.query)
        return DayPage(items=[_document(day) for day in part], next=following)

    @operation("GET", "/opening-hours/days/{day}", summary="One day", **LOOK)
    async def day(self, call: Call[DayPath, Nothing, Nothing]) -> SetDayDocument:
        return _document(self._found(call.path))

    @operation(
        "POST",
        "/opening-hours/days",
        summary="Set other hours on a day, instead of what was set for it",
        status=201,
        location="/opening-hours/days/{id}",
        **ACT,
    )
    async def put(self, call: Call[Nothing, Nothing, NewDay]) -> SetDayDocument:
        wanted = call.body
        try:
            day = SetDay(wanted.service or SITE, wanted.on, spans_of(wanted.spans), call.caller.name)
        except ValueError as error:
            raise _invalid("spans", str(error)) from None
        try:
            await self._exceptions.set_day(day.service, day.on, day.spans, day.set_by)
        except UnknownServiceError:
            raise _invalid("service", "is no service of the calendar") from None
        except DayError as error:
            raise _invalid("on", str(error)) from None
        await self._changed()
        return _document(day)

    @operation("DELETE", "/opening-hours/days/{day}", summary="As usual on that day", **ACT)
    async def remove(self, call: Call[DayPath, Nothing, Nothing]) -> None:
        day = self._found(call.path)
        await self._exceptions.remove(day.service, day.on, call.caller.name)
        await self._changed()

    def _found(self, path: DayPath) -> SetDay:
        return found(next((day for day in self._exceptions.days if _id(day) == path.day), None), "such day")


def _id(day: SetDay) -> str:
    return f"{day.on}-{day.service}" if day.service else f"{day.on}"


def _document(day: SetDay) -> SetDayDocument:
    return SetDayDocument(id=_id(day), service=day.service or None, on=day.on, spans=as_texts(day.spans))


def _invalid(field: str, detail: str) -> ProblemError:
    return ProblemError("invalid", "Look at `errors`.", errors=[FieldError(at=f"body/{field}", detail=detail)])
