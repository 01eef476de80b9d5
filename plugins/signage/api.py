"""The screens' programme and its notices, for programs."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

from devices.contract import screen
from devices.contract.payload import Id, Language, clean
from hub.plugin import Context, now
from hub.plugin.api import (
    Call,
    Document,
    FieldError,
    Moment,
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
from plugins.signage.models import ScreenNotice, make_notice
from plugins.signage.service import Signage

Title = Annotated[str, BeforeValidator(clean), StringConstraints(min_length=1, max_length=80)]
Text = Annotated[str, BeforeValidator(clean), StringConstraints(max_length=400)]


MAX_SCREENS = 200

_NO_OTHER: dict[str, Any] = {"additionalProperties": False}
"""Pydantic says what a language's text must be, and leaves open that there is nothing else."""


class NoticePath(Query):
    notice: Id


class ScreenPath(Query):
    screen: Id


class Power(Request):
    is_on: bool


class PowerDocument(Document):
    """A screen that is off is dark, and stays so over a restart."""

    is_on: bool


class NewNotice(Request):
    """A notice for all screens, or for some."""

    severity: Literal["info", "warning", "danger"] = "info"
    title: dict[Language, Title] = Field(
        min_length=1, max_length=10, description="by language", json_schema_extra=_NO_OTHER
    )
    text: dict[Language, Text] = Field(
        default_factory=dict, max_length=10, description="by language", json_schema_extra=_NO_OTHER
    )
    since: Moment | None = Field(default=None, description="put up by itself then; null: at once")
    until: Moment | None = Field(default=None, description="taken down by itself then; null: never")
    screens: list[Id] | None = Field(
        default=None, min_length=1, max_length=MAX_SCREENS, description="on these screens; null: on all"
    )


class NoticeDocument(Document):
    """A notice that hangs, or waits for its time."""

    id: Id
    severity: Literal["info", "warning", "danger"]
    title: dict[str, str]
    text: dict[str, str]
    since: AwareDatetime | None
    until: AwareDatetime | None
    screens: list[str] | None


class NoticePage(Page[NoticeDocument]):
    """Notices that hang or wait for their time, by id."""


class SpanDocument(Document):
    """By the site's clock."""

    opens: str
    closes: str


class DayDocument(Document):
    weekday: int = Field(description="0 is Monday")
    spans: list[SpanDocument] = Field(description="none: closed")


class HoursDocument(Document):
    """Opening hours, as the configuration has them."""

    time_zone: str
    days: list[DayDocument]


READ: dict[str, Any] = {"scope": "screens:read", "roles": {"front_line", "it"}}
WRITE: dict[str, Any] = {"scope": "screens:write", "roles": {"front_line"}}


class ScreenApi:
    def __init__(self, context: Context, signage: Signage) -> None:
        self._context = context
        self._signage = signage

    @operation("GET", "/notices", summary="Notices", **READ)
    async def notices(self, call: Call[Nothing, PageQuery, Nothing]) -> NoticePage:
        part, following = page_of(await self._signage.notices(), lambda notice: notice.id, call.query)
        return NoticePage(items=[NoticeDocument.model_validate(notice) for notice in part], next=following)

    @operation("GET", "/notices/{notice}", summary="One notice", **READ)
    async def notice(self, call: Call[NoticePath, Nothing, Nothing]) -> NoticeDocument:
        return NoticeDocument.model_validate(await self._found(call.path))

    @operation("POST", "/notices", summary="Put up a notice", status=201, location="/notices/{id}", **WRITE)
    async def put_up(self, call: Call[Nothing, Nothing, NewNotice]) -> NoticeDocument:
        made = self._made(call.body)
        await self._signage.put_up(made, call.caller.name)
        return NoticeDocument.model_validate(made)

    @operation("PUT", "/notices/{notice}", summary="Change a notice", **WRITE)
    async def change(self, call: Call[NoticePath, Nothing, NewNotice]) -> NoticeDocument:
        changed = self._made(call.body, (await self._found(call.path)).id)
        found(await self._signage.change(changed, call.caller.name) or None, "such notice")
        return NoticeDocument.model_validate(changed)

    def _made(self, wanted: NewNotice, notice_id: str | None = None) -> ScreenNotice:
        """Raises ProblemError for times and screens that make no sense."""
        known = {device.id for device in self._context.devices.of_kind(screen.KIND)}
        errors = [
            FieldError(at=f"body/screens/{number}", detail="is no screen")
            for number, screen_id in enumerate(wanted.screens or [])
            if screen_id not in known
        ]
        if wanted.until is not None and wanted.until <= now():
            errors.append(FieldError(at="body/until", detail="is past"))
        elif wanted.until is not None and wanted.since is not None and wanted.until <= wanted.since:
            errors.append(FieldError(at="body/until", detail="is not after `since`"))
        if errors:
            raise ProblemError("invalid", "Look at `errors`.", errors=errors)
        return make_notice(
            wanted.severity,
            wanted.title,
            wanted.text,
            wanted.until,
            since=wanted.since,
            screens=wanted.screens,
            notice_id=notice_id,
        )

    @operation("DELETE", "/notices/{notice}", summary="Take a notice down", **WRITE)
    async def take_down(self, call: Call[NoticePath, Nothing, Nothing]) -> None:
        await self._signage.take_down((await self._found(call.path)).id, call.caller.name)

    @operation("GET", "/screens/{screen}/power", summary="Is the screen on", **READ)
    async def power(self, call: Call[ScreenPath, Nothing, Nothing]) -> PowerDocument:
        return PowerDocument(is_on=self._screen(call.path) not in self._signage.off)

    @operation(
        "PUT",
        "/screens/{screen}/power",
        summary="Switch a screen on, or let it be dark",
        scope="screens:power",
        roles={"front_line", "it"},
    )
    async def set_power(self, call: Call[ScreenPath, Nothing, Power]) -> PowerDocument:
        await self._signage.switch(self._screen(call.path), is_on=call.body.is_on, actor=call.caller.name)
        return PowerDocument(is_on=call.body.is_on)

    def _screen(self, path: ScreenPath) -> str:
        device = self._context.devices.get(path.screen)
        return found(device if device is not None and device.kind == screen.KIND else None, "such screen").id

    @operation("GET", "/opening-hours", summary="Opening hours", **READ)
    async def hours(self, _call: Call[Nothing, Nothing, Nothing]) -> HoursDocument:
        programme = await self._signage.programme()
        days = [
            DayDocument(
                weekday=day.weekday, spans=[SpanDocument(opens=opens, closes=closes) for opens, closes in day.spans]
            )
            for day in programme.hours
        ]
        return HoursDocument(time_zone=programme.time_zone, days=days)

    @operation(
        "GET", "/programme", summary="All that the screens show, and what waits for its time", is_personal=True, **READ
    )
    async def programme(self, _call: Call[Nothing, Nothing, Nothing]) -> screen.Programme:
        return await self._signage.programme()

    @operation(
        "GET",
        "/screens/{screen}/programme",
        summary="All that one screen shows, and what waits for its time",
        is_personal=True,
        **READ,
    )
    async def programme_of(self, call: Call[ScreenPath, Nothing, Nothing]) -> screen.Programme:
        return await self._signage.programme(self._screen(call.path))

    async def _found(self, path: NoticePath) -> ScreenNotice:
        return found(
            next((notice for notice in await self._signage.notices() if notice.id == path.notice), None), "such notice"
        )
