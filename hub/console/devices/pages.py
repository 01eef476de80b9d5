"""The console's pages of devices: all by place, absent ones first, and each with its history."""

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import segno
from aiohttp import hdrs, web
from babel.dates import format_timedelta
from pydantic import ValidationError

from devices.contract.payload import clean
from hub.console.devices.kind_names import kind_names
from hub.devices.admission import Admission, TakenNameError
from hub.devices.diagnostics import Diagnostics
from hub.devices.enroller import Enroller
from hub.devices.registry import Device, Devices, UnknownDeviceError, Vitals
from hub.web.forms import Form
from hub.web.pages import Pages, babel_locale, see
from hub.web.place_form import PARTS, place_in, suggestions
from hub.web.security import session_of

MAX_NAME_LENGTH = 80
MAX_DEVICES = 200
LOW_BATTERY_PERCENT = 20
WEAK_SIGNAL_DBM = -80
WRONG_CLOCK_SECONDS = 5
"""More than any network delay; short-lived codes and signed times are affected."""


class DevicePages:
    def __init__(
        self, pages: Pages, devices: Devices, admission: Admission, enroller: Enroller, diagnostics: Diagnostics
    ) -> None:
        self._pages = pages
        self._devices = devices
        self._admission = admission
        self._enroller = enroller
        self._diagnostics = diagnostics
        pages.page("/devices", {"it", "caretaker"}, self.all)
        pages.action(
            "/devices", {"it"}, self.make_link, Form(must=("kind", "device")), Form(must=("kind", "name", "zone"))
        )
        pages.page("/devices/{device}", {"it", "caretaker"}, self.one)
        pages.page("/devices/{device}/diagnostics", {"it", "caretaker"}, self.diagnostics)
        pages.action("/devices/{device}/describe", {"it"}, self.describe, Form(must=("name", *PARTS)))
        pages.action("/devices/{device}/revoke", {"it"}, self.revoke)

    async def all(self, request: web.Request) -> web.StreamResponse:
        query = request.query.get("q", "").strip()
        devices = self._devices
        found = [device for device in devices if _matches(device, query.lower())]
        away = {device.id for device in found if self._is_away(device)}
        found.sort(key=lambda device: (device.id not in away, device.kind, device.name))
        places: dict[str, list[Device]] = defaultdict(list)
        for device in found[:MAX_DEVICES]:
            places[device.place].append(device)
        groups = sorted(places.items(), key=lambda group: (not away & {device.id for device in group[1]}, group[0]))
        return await self._pages.render(
            request,
            "devices.html",
            groups=groups,
            query=query,
            total=len(found),
            away_count=len(away),
            most=MAX_DEVICES,
            page_kinds=sorted(self._enroller.pages()),
            **self._template_values(request),
        )

    async def one(self, request: web.Request) -> web.StreamResponse:
        return await self._device_page(request, self._device(request))

    async def make_link(self, request: web.Request) -> web.StreamResponse:
        """Enrol a browser device, or renew its link, which is displayed once."""
        sent = await request.post()
        kind = str(sent.get("kind", ""))
        if kind not in self._enroller.pages():
            raise web.HTTPBadRequest(text=f"kind is one of {', '.join(self._enroller.pages())}")
        device = str(sent.get("device") or "") or self._enroller.free_id(kind)
        known = self._devices.get(device)
        name = str(clean(str(sent.get("name") or (known.name if known else device))))[:MAX_NAME_LENGTH]
        place = known.where if known else place_in(sent)
        actor = session_of(request).account
        try:
            enrolment = await self._enroller.enrol(device, kind, name, place, actor)
        except ValidationError:
            raise web.HTTPBadRequest(text="A device's id has letters, digits, - and _, 64 at most.") from None
        except TakenNameError as error:
            raise web.HTTPConflict(text=str(error)) from None
        link = self._enroller.link(enrolment)
        return await self._device_page(request, self._devices.require(device), link=link, qr=_qr(str(link)))

    async def describe(self, request: web.Request) -> web.StreamResponse:
        device = self._device(request)
        sent = await request.post()
        name = str(clean(str(sent.get("name", ""))))[:MAX_NAME_LENGTH] or device.name
        await self._devices.describe(device.id, name, place_in(sent), session_of(request).account)
        return see(f"/devices/{device.id}")

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._enroller.revoke(request.match_info["device"], session_of(request).account)
        except UnknownDeviceError:
            raise web.HTTPNotFound(text="There is no such device.") from None
        return see("/devices")

    async def diagnostics(self, request: web.Request) -> web.StreamResponse:
        """For remote support: no name, no secret, no personal data."""
        device = self._device(request)
        document = await self._diagnostics.of(device)
        return web.Response(
            text=json.dumps(document, indent=1, default=_as_json) + "\n",
            content_type="application/json",
            headers={
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{device.id}-diagnostics.json"',
                hdrs.CACHE_CONTROL: "no-store",
            },
        )

    async def _device_page(self, request: web.Request, device: Device, **values: Any) -> web.StreamResponse:
        absences, count = await self._devices.absences.of(device.id)
        defaults: dict[str, Any] = {"link": None, "qr": None}
        return await self._pages.render(
            request,
            "device.html",
            device=device,
            absences=absences,
            absences_in_all=count,
            is_browser=device.kind in self._enroller.pages(),
            suggestions=suggestions(self._devices),
            **self._template_values(request),
            **(defaults | values),
        )

    def _template_values(self, request: web.Request) -> dict[str, Any]:
        """Values for the templates of both pages."""
        return {
            "kind_name": kind_names(self._pages, self._enroller, request),
            "vitals_of": self._devices.vitals,
            "away_since": self._away_since,
            "broker_lacks": self._admission.missing_accounts,
            "lasting": _lasting(self._pages.language(request)),
            "now": datetime.now(UTC),
            "timedelta": timedelta,
            "low_battery": LOW_BATTERY_PERCENT,
            "weak_signal": WEAK_SIGNAL_DBM,
            "wrong_clock": WRONG_CLOCK_SECONDS,
        }

    def _is_away(self, device: Device) -> bool:
        """Away, and not just never seen."""
        vitals = self._devices.vitals(device.id)
        return not vitals.is_alive and (vitals.last_seen_monotonic is not None or device.first_seen_at is not None)

    def _away_since(self, device: Device, vitals: Vitals) -> datetime | None:
        return self._devices.absences.since(device.id) or vitals.last_seen_at

    def _device(self, request: web.Request) -> Device:
        try:
            return self._devices.require(request.match_info["device"])
        except UnknownDeviceError:
            raise web.HTTPNotFound(text="There is no such device.") from None


def _matches(device: Device, query: str) -> bool:
    return not query or any(query in text.lower() for text in (device.id, device.name, device.place, device.kind))


def _lasting(language: str) -> Callable[[timedelta], str]:
    return lambda span: str(format_timedelta(span, locale=babel_locale(language), threshold=1.2))


def _as_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _qr(link: str) -> str:
    """An SVG image as a data address."""
    return str(segno.make(link, error="m").svg_data_uri(scale=4, border=2, light="#fff"))
