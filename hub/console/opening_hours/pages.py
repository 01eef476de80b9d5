"""The page Opening hours: the week as configured, holidays and other days to come, and a form to set one."""

from collections.abc import Awaitable, Callable
from datetime import date

from aiohttp import web
from babel.dates import format_date, get_day_names

from hub.calendar.exceptions import DayError, Exceptions
from hub.calendar.opening import SITE, Calendar, UnknownServiceError, names
from hub.configuration.opening_hours import MAX_SPANS, Span, spans_of
from hub.hooks.specifications import Role
from hub.language.translation import N_
from hub.store.store import now
from hub.web.forms import Form
from hub.web.pages import Pages, babel_locale, pattern, see
from hub.web.security import session_of

WHO: frozenset[Role] = frozenset({"front_line", "it"})
MAX_SHOWN = 20


class OpeningPages:
    def __init__(
        self, pages: Pages, calendar: Calendar, exceptions: Exceptions, changed: Callable[[], Awaitable[None]]
    ) -> None:
        self._pages = pages
        self._calendar = calendar
        self._exceptions = exceptions
        self._changed = changed
        pages.page("/opening-hours", WHO, self.show)
        pages.action("/opening-hours", WHO, self.put, Form(must=("service", "day", "spans")))
        pages.action("/opening-hours/remove", WHO, self.remove, Form(must=("service", "day")))

    async def show(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request)

    async def put(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        typed = {name: str(sent[name]).strip() for name in ("service", "day", "spans")}
        try:
            on = date.fromisoformat(typed["day"])
            spans = _spans_in(typed["spans"])
        except ValueError:
            problem = N_("Write the day, and the hours such as 09:00-12:00, 12:30-15:00. Nothing at all means closed.")
            return await self._page(request, problem=problem, typed=typed, status=422)
        try:
            await self._exceptions.set_day(typed["service"], on, spans, session_of(request).account)
        except UnknownServiceError:
            raise web.HTTPBadRequest(text="There is no such service.") from None
        except DayError:
            problem = N_("Choose a day from today on, and within a year.")
            return await self._page(request, problem=problem, typed=typed, status=422)
        await self._changed()
        return see("/opening-hours")

    async def remove(self, request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        try:
            on = date.fromisoformat(str(sent["day"]))
        except ValueError:
            raise web.HTTPBadRequest(text="That is no day.") from None
        await self._exceptions.remove(str(sent["service"]), on, session_of(request).account)
        await self._changed()
        return see("/opening-hours")

    async def _page(
        self,
        request: web.Request,
        *,
        problem: str | None = None,
        typed: dict[str, str] | None = None,
        status: int = 200,
    ) -> web.StreamResponse:
        language = self._pages.language(request)
        at, text = now(), self._pages.words(language)
        today = self._calendar.date_at(at)
        services = [SITE, *self._calendar.services]
        coming = sorted(
            ((service, day) for service in services for day in self._calendar.other_days(today, service)),
            key=lambda each: each[1].on,
        )
        return await self._pages.render(
            request,
            "opening.html",
            status=status,
            problem=problem,
            typed=typed or {"service": SITE, "day": "", "spans": ""},
            services=services,
            weeks=[(service, self._calendar.week(service)) for service in services],
            now_open=[(service, self._calendar.at(at, service)) for service in services],
            coming=coming[:MAX_SHOWN],
            own={(one.service, one.on) for one in self._exceptions.days},
            named=lambda holiday: ", ".join(text(one) for one in names(holiday)) if holiday else "",
            weekdays=[get_day_names("wide", locale=language)[day].capitalize() for day in range(7)],
            date=lambda day: _date(day, language),
            has_hours=self._calendar.has_hours,
        )


def _date(day: date, language: str) -> str:
    written = format_date(day, pattern(language, "EEEE d MMMM y"), locale=babel_locale(language))
    return written[:1].upper() + written[1:]


def _spans_in(text: str) -> tuple[Span, ...]:
    """`09:00-12:00, 12:30-15:00`; nothing: closed. Raises ValueError."""
    parts = [part for part in text.replace(";", ",").split(",") if part.strip()]
    if len(parts) > MAX_SPANS:
        raise ValueError
    return spans_of(parts)
