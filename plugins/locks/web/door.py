"""The page of one door: state, orders, log and settings."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, get_args

from aiohttp import hdrs, web

from devices.access.lists import Opening, WithoutClock
from devices.contract import door
from devices.contract.payload import clean
from hub.plugin import N_, Context, Device, MistakeError, now
from hub.plugin.web import Form, see, session_of
from plugins.locks.config import Settings
from plugins.locks.history.alarms import Alarms
from plugins.locks.history.log import Log
from plugins.locks.models import MAX_OFFLINE_HOURS, DoorSettings
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import EDITORS
from plugins.locks.rules.access import Access
from plugins.locks.rules.inside import Inside
from plugins.locks.web.doors import VIEWERS, DoorPages, required_reason
from plugins.locks.web.times_form import TIMES, parse_day, parse_times, times_as_form, typed_form

A_PAGE = 50
LOW_BATTERY_PERCENT = 20
WRONG_CLOCK_SECONDS = 5
NOT_SHOWN = frozenset({"list_taken"})
"""Routine events that only the exported log contains."""
VERBS = {"verb": ("pulse", "lock", "resume")}
BESIDE = ("to", "reason", "until")
ORDERS = (
    Form(must=("verb",), may=BESIDE, choices=VERBS),
    Form(must=("hold",), may=BESIDE),
    Form(must=("enter",), may=BESIDE),  # no button was pressed
)
SETTINGS = Form(
    must=(
        *("pulse_seconds", "held_open_seconds", "offline_hours", "leads_to", "passback"),
        *("without_clock", "interlock_with", *TIMES.must),
    ),
    may=("has_opening", "after_arrival", "tells_grants", *TIMES.may),
    rows=TIMES.rows,
    many_in_rows=TIMES.many_in_rows,
    choices={"passback": ("off", "soft", "hard"), "without_clock": get_args(WithoutClock)},
)


class DoorPage:
    def __init__(
        self, context: Context, settings: Settings, access: Access, locks: Locks, alarms: Alarms, log: Log,
        doors: DoorPages, inside: Inside,
    ) -> None:  # fmt: skip
        self._context = context
        self._settings = settings
        self._access = access
        self._locks = locks
        self._alarms = alarms
        self._log = log
        self._doors = doors
        self._inside = inside
        pages = context.pages
        pages.page("/doors/{door}", VIEWERS, self.door)
        pages.action("/doors/{door}/order", doors.command_roles, self.order, *ORDERS, asks_again=True)
        pages.page("/doors/{door}/settings", EDITORS, self.settings)
        pages.action("/doors/{door}/settings", EDITORS, self.save_settings, SETTINGS, asks_again=True)
        pages.action("/doors/{door}/forgive", EDITORS, self.forgive, Form(must=("reason",)), asks_again=True)
        pages.action(
            "/doors/{door}/log.csv", settings.may_see_passages, self.export, Form(must=("first", "last", "reason"))
        )

    async def door(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request)

    async def order(self, request: web.Request) -> web.StreamResponse:
        """An order from this page or from the list of doors."""
        try:
            return await self._doors.order(request)
        except MistakeError as mistake:
            return await self._page(request, mistake=mistake, sent=await request.post(), status=422)

    async def _page(
        self,
        request: web.Request,
        *,
        mistake: MistakeError | None = None,
        log_mistake: MistakeError | None = None,
        sent: Any = None,
        status: int = 200,
    ) -> web.StreamResponse:
        device, typed = self._asked_for(request), sent or {}
        commands = await self._locks.commands_by_people()
        entries = await self._log.of_door(device.id, _before(request), A_PAGE + 1, without=NOT_SHOWN)
        sees_who = bool(session_of(request).roles & self._settings.may_see_passages)
        refs = {entry.credential for entry in entries if entry.credential}
        today = now().astimezone(self._context.site.zone).date()
        return await self._context.pages.render(
            request,
            "door.html",
            status=status,
            mistake=mistake,
            log_mistake=log_mistake,
            typed=typed,
            one=self._doors.view(request, device, commands),
            alarms=[alarm for alarm in await self._alarms.active() if alarm.door == device.id],
            may_acknowledge=bool(session_of(request).roles & {"caretaker", "front_line"}),
            has_passback=self._access.settings_of(device.id).passback != "off",
            may_set=bool(session_of(request).roles & EDITORS),
            entries=entries[:A_PAGE],
            older=entries[A_PAGE - 1].at.isoformat() if len(entries) > A_PAGE else None,
            sees_who=sees_who,
            owners=await self._log.owners(refs) if sees_who and refs else {},
            rules={rule.id: rule.name for rule in self._access.rule_book.rules},
            opening=self._access.for_door(device.id).opening,
            low_battery=LOW_BATTERY_PERCENT,
            wrong_clock=WRONG_CLOCK_SECONDS,
            month_ago=today - timedelta(days=30),
            today=today,
            **self._doors.words,
        )

    async def forgive(self, request: web.Request) -> web.StreamResponse:
        """Anti-passback: let everybody behind this door enter again."""
        device, sent = self._asked_for(request), await request.post()
        try:
            await self._inside.forgive_all_behind(device.id, session_of(request).account, required_reason(sent))
        except MistakeError as mistake:
            return await self._page(request, mistake=mistake, sent=sent, status=422)
        return see(f"/doors/{device.id}")

    async def export(self, request: web.Request) -> web.StreamResponse:
        device, sent = self._asked_for(request), await request.post()
        try:
            first, last = _days_in(sent)
            reason = required_reason(sent)
        except MistakeError as mistake:
            return await self._page(request, log_mistake=mistake, sent=sent, status=422)
        zone = self._context.site.zone
        start = datetime.combine(first, time(), zone).astimezone(UTC)
        end = datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
        text = await self._log.export(device.id, start, end, reason, session_of(request).account, zone)
        name = f"{device.id}-{first}-{last}.csv"
        headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"', hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)

    async def settings(self, request: web.Request) -> web.StreamResponse:
        device = self._asked_for(request)
        return await self._settings_page(request, device, self._access.settings_of(device.id))

    async def save_settings(self, request: web.Request) -> web.StreamResponse:
        device, sent = self._asked_for(request), await request.post()
        try:
            settings = self._settings_in(sent, self._access.settings_of(device.id))
            await self._access.save_settings(device.id, settings, session_of(request).account)
        except MistakeError as mistake:
            return await self._settings_page(
                request, device, self._access.settings_of(device.id), mistake=mistake, sent=sent, status=422
            )
        return see(f"/doors/{device.id}")

    async def _settings_page(
        self,
        request: web.Request,
        device: Device,
        settings: DoorSettings,
        mistake: MistakeError | None = None,
        sent: Any = None,
        status: int = 200,
    ) -> web.StreamResponse:
        """The form, filled with what was typed (`sent`), else with the stored settings."""
        others = [other for other in self._context.devices.of_kind(door.KIND) if other.id != device.id]
        return await self._context.pages.render(
            request,
            "door_settings.html",
            status=status,
            device=device,
            typed=_as_form(settings) if sent is None else sent,
            times=times_as_form(settings.opening.times if settings.opening else None)
            if sent is None
            else typed_form(sent),
            others=others,
            zones=sorted(
                {device.where.zone for device in self._context.devices.of_kind(door.KIND) if device.where.zone}
            ),
            pulse_seconds=self._settings.pulse_seconds,
            most_pulse=door.MAX_PULSE_MS // 1000,
            most_offline=MAX_OFFLINE_HOURS,
            mistake=mistake,
        )

    def _settings_in(self, sent: Any, before: DoorSettings) -> DoorSettings:
        """Raises MistakeError."""
        times, opening = parse_times(sent), None
        if "has_opening" in sent:
            opening = Opening(times=times, after_arrival="after_arrival" in sent)
        elif times.weekly and before.opening is None:
            raise MistakeError(N_("There are hours, but the door has no opening schedule: tick it, or empty them."))
        pulse, held = str(sent.get("pulse_seconds", "")), str(sent.get("held_open_seconds", ""))
        try:
            return DoorSettings.model_validate(
                {
                    "opening": opening,
                    "pulse_ms": round(float(pulse) * 1000) if pulse else None,
                    "held_open_seconds": int(held) if held else None,
                    "passback": sent["passback"],
                    "without_clock": sent["without_clock"],
                    "leads_to": clean(str(sent.get("leads_to", ""))),
                    "interlock_with": sent.get("interlock_with") or None,
                    "offline_hours": int(str(sent.get("offline_hours", ""))),
                    "tells_grants": "tells_grants" in sent,
                }
            )
        except (ValueError, OverflowError):  # pydantic's too; the form has the limits, so a browser names the field
            raise MistakeError(N_("One of the numbers is none, or out of its limits.")) from None

    def _asked_for(self, request: web.Request) -> Device:
        device = self._context.devices.get(request.match_info["door"])
        if device is None or device.kind != door.KIND:
            raise web.HTTPNotFound(text="There is no such door.")
        return device


def _before(request: web.Request) -> datetime | None:
    text = request.query.get("before")
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise web.HTTPBadRequest(text="before is a time such as 2026-11-24T02:13:00+00:00.") from None


def _days_in(sent: Any) -> tuple[date, date]:
    """The first and the last. Raises MistakeError."""
    first, last = (parse_day(str(sent.get(name, ""))) for name in ("first", "last"))
    if first is None or last is None:
        raise MistakeError(N_("Say from which day, and until which."))
    if last < first:
        raise MistakeError(N_("The last day is before the first."))
    return first, last


def _as_form(settings: DoorSettings) -> dict[str, Any]:
    """The fields of the form; only ticked boxes are present, as in a form that was sent."""
    ticked = {
        "has_opening": settings.opening is not None,
        "after_arrival": settings.opening is not None and settings.opening.after_arrival,
        "tells_grants": settings.tells_grants,
    }
    return {
        "pulse_seconds": f"{settings.pulse_ms / 1000:g}" if settings.pulse_ms else "",
        "held_open_seconds": settings.held_open_seconds or "",
        "offline_hours": settings.offline_hours,
        "leads_to": settings.leads_to,
        "passback": settings.passback,
        "without_clock": settings.without_clock,
        "interlock_with": settings.interlock_with or "",
        **{name: "on" for name, is_so in ticked.items() if is_so},
    }
