"""The page of one door: what it does now, what may be done, what happened, and how it behaves."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from aiohttp import hdrs, web
from pydantic import ValidationError

from devices.access.lists import Opening
from devices.contract import door
from devices.contract.messages import clean
from hub.plugin import Context, Device
from hub.store import now
from hub.web.pages import see
from hub.web.security import session_of
from plugins.locks.access import Access
from plugins.locks.alarms import Alarms
from plugins.locks.config import Settings
from plugins.locks.log import Log
from plugins.locks.models import MOST_OFFLINE_HOURS, DoorSettings
from plugins.locks.service import Locks
from plugins.locks.web.doors import LOOK, DoorPages, reason_in
from plugins.locks.web.times_form import TimesError, shown_times, times_in

A_PAGE = 50
LOW_BATTERY_PERCENT = 20
WRONG_CLOCK_SECONDS = 5
SET = frozenset[Any]({"caretaker", "it"})


class DoorPage:
    def __init__(
        self, context: Context, settings: Settings, access: Access, locks: Locks, alarms: Alarms, log: Log,
        doors: DoorPages,
    ) -> None:  # fmt: skip
        self._context = context
        self._settings = settings
        self._access = access
        self._locks = locks
        self._alarms = alarms
        self._log = log
        self._doors = doors
        pages = context.pages
        pages.page("/doors/{door}", LOOK, self.door)
        pages.page("/doors/{door}/settings", SET, self.settings)
        pages.action("/doors/{door}/settings", SET, self.keep_settings)
        pages.action("/doors/{door}/log.csv", settings.may_see_passages, self.export)

    async def door(self, request: web.Request) -> web.StreamResponse:
        device = self._asked_for(request)
        commands, _ = await self._locks.history(by_people=True)
        entries = await self._log.of_door(device.id, _before(request), A_PAGE + 1)
        sees_who = bool(session_of(request).roles & self._settings.may_see_passages)
        refs = {one.credential for one in entries if one.credential}
        today = now().astimezone(self._context.site.zone).date()
        return await self._context.pages.render(
            request,
            "door.html",
            one=self._doors.seen(request, device, commands),
            alarms=[one for one in await self._alarms.standing() if one.door == device.id],
            may_acknowledge=bool(session_of(request).roles & {"caretaker", "front_line"}),
            may_set=bool(session_of(request).roles & SET),
            entries=entries[:A_PAGE],
            older=entries[A_PAGE - 1].at.isoformat() if len(entries) > A_PAGE else None,
            sees_who=sees_who,
            owners=await self._log.owners(refs) if sees_who and refs else {},
            rules={rule.id: rule.name for rule in self._access.kept.rules},
            opening=self._access.of(device.id).opening,
            low_battery=LOW_BATTERY_PERCENT,
            wrong_clock=WRONG_CLOCK_SECONDS,
            month_ago=today - timedelta(days=30),
            today=today,
            **self._doors.words,
        )

    async def export(self, request: web.Request) -> web.StreamResponse:
        device, sent = self._asked_for(request), await request.post()
        reason = reason_in(sent).strip()
        if not reason:
            raise web.HTTPBadRequest(text="Say why you take the log: it stands in the audit log.")
        first, last = (_day_in(sent, name) for name in ("first", "last"))
        zone = self._context.site.zone
        start = datetime.combine(first, time(), zone).astimezone(UTC)
        end = datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
        text = await self._log.export(device.id, start, end, reason, session_of(request).account)
        name = f"{device.id}-{first}-{last}.csv"
        headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"', hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)

    async def settings(self, request: web.Request) -> web.StreamResponse:
        device = self._asked_for(request)
        return await self._settings_page(request, device, self._access.settings_of(device.id))

    async def keep_settings(self, request: web.Request) -> web.StreamResponse:
        device, sent = self._asked_for(request), await request.post()
        try:
            settings = self._settings_in(sent)
        except TimesError as error:
            return await self._settings_page(
                request, device, self._access.settings_of(device.id), problem=str(error), status=422
            )
        await self._access.keep_settings(device.id, settings, session_of(request).account)
        return see(f"/doors/{device.id}")

    async def _settings_page(
        self, request: web.Request, device: Device, settings: DoorSettings, problem: str = "", status: int = 200
    ) -> web.StreamResponse:
        others = [one for one in self._context.devices.of_kind(door.KIND) if one.id != device.id]
        return await self._context.pages.render(
            request,
            "door_settings.html",
            status=status,
            device=device,
            kept=settings,
            times=shown_times(settings.opening.times if settings.opening else None),
            others=others,
            zones=sorted({one.where.zone for one in self._context.devices.of_kind(door.KIND) if one.where.zone}),
            pulse_seconds=self._settings.pulse_seconds,
            most_pulse=door.MOST_PULSE_MS // 1000,
            most_offline=MOST_OFFLINE_HOURS,
            problem=problem,
        )

    def _settings_in(self, sent: Any) -> DoorSettings:
        """Raises TimesError."""
        opening = None
        if sent.get("has_opening"):
            opening = Opening(times=times_in(sent), after_arrival="after_arrival" in sent)
        pulse, held = str(sent.get("pulse_seconds", "")), str(sent.get("held_open_seconds", ""))
        try:
            return DoorSettings.model_validate(
                {
                    "opening": opening,
                    "pulse_ms": round(float(pulse) * 1000) if pulse else None,
                    "held_open_seconds": int(held) if held else None,
                    "passback": sent.get("passback", "off"),
                    "leads_to": clean(str(sent.get("leads_to", ""))),
                    "interlock_with": sent.get("interlock_with") or None,
                    "offline_hours": int(str(sent.get("offline_hours", ""))),
                    "tells_grants": "tells_grants" in sent,
                }
            )
        except ValidationError as error:
            raise TimesError("; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())) from None
        except ValueError as error:
            raise TimesError(str(error)) from None

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
    except ValueError:
        raise web.HTTPBadRequest(text="before is a time such as 2026-11-24T02:13:00+00:00.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _day_in(sent: Any, name: str) -> date:
    try:
        return date.fromisoformat(str(sent.get(name, "")))
    except ValueError:
        raise web.HTTPBadRequest(text=f"{name} is a date such as 2026-11-24.") from None
