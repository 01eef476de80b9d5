"""The console's pages of devices: all of them by place, with what is away first, and each with its history."""

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

MOST_NAME = 80
MOST_SHOWN = 200
LOW_BATTERY_PERCENT = 20
WEAK_SIGNAL_DBM = -80
WRONG_CLOCK_SECONDS = 5
"""More than any way takes; codes that last minutes and signed times suffer from it."""


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
        sought = request.query.get("q", "").strip()
        devices = self._devices
        found = [one for one in devices if _is_found(one, sought.lower())]
        away = {one.id for one in found if self._is_missed(one)}
        found.sort(key=lambda one: (one.id not in away, one.kind, one.name))
        places: dict[str, list[Device]] = defaultdict(list)
        for one in found[:MOST_SHOWN]:
            places[one.place].append(one)
        groups = sorted(places.items(), key=lambda group: (not away & {one.id for one in group[1]}, group[0]))
        return await self._pages.render(
            request,
            "devices.html",
            groups=groups,
            sought=sought,
            total=len(found),
            away_count=len(away),
            most=MOST_SHOWN,
            page_kinds=sorted(self._enroller.pages()),
            **self._seeing(request),
        )

    async def one(self, request: web.Request) -> web.StreamResponse:
        return await self._device_page(request, self._asked_for(request))

    async def make_link(self, request: web.Request) -> web.StreamResponse:
        """A new device that is a browser, or a new link for one: the link is shown once."""
        sent = await request.post()
        kind = str(sent.get("kind", ""))
        if kind not in self._enroller.pages():
            raise web.HTTPBadRequest(text=f"kind is one of {', '.join(self._enroller.pages())}")
        device = str(sent.get("device") or "") or self._enroller.free_id(kind)
        known = self._devices.get(device)
        name = str(clean(str(sent.get("name") or (known.name if known else device))))[:MOST_NAME]
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
        device = self._asked_for(request)
        sent = await request.post()
        name = str(clean(str(sent.get("name", ""))))[:MOST_NAME] or device.name
        await self._devices.describe(device.id, name, place_in(sent), session_of(request).account)
        return see(f"/devices/{device.id}")

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._enroller.revoke(request.match_info["device"], session_of(request).account)
        except UnknownDeviceError:
            raise web.HTTPNotFound(text="There is no such device.") from None
        return see("/devices")

    async def diagnostics(self, request: web.Request) -> web.StreamResponse:
        """For whoever helps from afar: no name, no secret, nothing about a person."""
        device = self._asked_for(request)
        whole = await self._diagnostics.of(device)
        return web.Response(
            text=json.dumps(whole, indent=1, default=_written) + "\n",
            content_type="application/json",
            headers={
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="{device.id}-diagnostics.json"',
                hdrs.CACHE_CONTROL: "no-store",
            },
        )

    async def _device_page(self, request: web.Request, device: Device, **values: Any) -> web.StreamResponse:
        absences, count = await self._devices.absences.of(device.id)
        nothing: dict[str, Any] = {"link": None, "qr": None}
        return await self._pages.render(
            request,
            "device.html",
            device=device,
            absences=absences,
            absences_in_all=count,
            is_browser=device.kind in self._enroller.pages(),
            suggestions=suggestions(self._devices),
            **self._seeing(request),
            **(nothing | values),
        )

    def _seeing(self, request: web.Request) -> dict[str, Any]:
        """What both pages ask about a device."""
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

    def _is_missed(self, device: Device) -> bool:
        """Away, and not only new."""
        vitals = self._devices.vitals(device.id)
        return not vitals.is_alive and (vitals.last_seen_monotonic is not None or device.first_seen_at is not None)

    def _away_since(self, device: Device, vitals: Vitals) -> datetime | None:
        return self._devices.absences.since(device.id) or vitals.last_seen_at

    def _asked_for(self, request: web.Request) -> Device:
        try:
            return self._devices.require(request.match_info["device"])
        except UnknownDeviceError:
            raise web.HTTPNotFound(text="There is no such device.") from None


def _is_found(device: Device, sought: str) -> bool:
    return not sought or any(sought in text.lower() for text in (device.id, device.name, device.place, device.kind))


def _lasting(language: str) -> Callable[[timedelta], str]:
    return lambda span: str(format_timedelta(span, locale=babel_locale(language), threshold=1.2))


def _written(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _qr(link: str) -> str:
    """An SVG image as a data address."""
    return str(segno.make(link, error="m").svg_data_uri(scale=4, border=2, light="#fff"))
