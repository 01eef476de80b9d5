"""The kernel's own pages: devices, plugins, audit log, and the one for what went wrong."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import segno
from aiohttp import web
from pydantic import ValidationError

from devices.contract.enrolment import Enrolment
from hub import audit
from hub.hookspecs import Health, HeldData, health, held_data
from hub.web.pages import Pages, see
from hub.web.security import session_of

if TYPE_CHECKING:
    from hub.hub import Hub

MOST_ENTRIES = 100


class SystemPages:
    def __init__(self, pages: Pages, hub: "Hub") -> None:
        self._pages = pages
        self._hub = hub
        pages.page("/devices", {"it", "caretaker"}, self.device_list)
        pages.action("/devices", {"it"}, self.enrol)
        pages.action("/devices/{device}/revoke", {"it"}, self.revoke)
        pages.page("/plugins", {"it"}, self.plugin_list)
        pages.action("/plugins/{plugin}/release", {"it"}, self.release)
        pages.page("/audit", {"it"}, self.audit_log)

    async def device_list(self, request: web.Request) -> web.StreamResponse:
        return await self._pages.render(request, "devices.html", **self._device_values())

    async def enrol(self, request: web.Request) -> web.StreamResponse:
        """A new tablet or screen, or a new link for one: the link is shown once."""
        sent = await request.post()
        kind = str(sent.get("kind", ""))
        if kind not in self._hub.tablet_kinds:
            raise web.HTTPBadRequest(text=f"kind is one of {', '.join(self._hub.tablet_kinds)}")
        device = str(sent.get("device") or "") or self._hub.devices.free_id(kind)
        known = self._hub.devices.get(device)
        name = str(sent.get("name") or (known.name if known else device))[:80]
        place = str(sent.get("place") or (known.place if known else ""))[:80]
        actor = session_of(request).account
        try:
            enrolment = await self._hub.enrol(device, kind, name, place, actor)
        except ValidationError:
            raise web.HTTPBadRequest(text="A device's id has letters, digits, - and _, 64 at most.") from None
        link = link_of(self._hub.settings.web.address, self._hub.tablet_kinds[kind], enrolment)
        return await self._pages.render(
            request,
            "devices.html",
            **(self._device_values() | {"link": link, "qr": _qr(link), "enrolled": name}),
        )

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        await self._hub.revoke(request.match_info["device"], session_of(request).account)
        return see("/devices")

    async def plugin_list(self, request: web.Request) -> web.StreamResponse:
        healths: dict[str, Health] = dict(await self._hub.hooks.named(health))
        held: dict[str, list[HeldData]] = dict(await self._hub.hooks.named(held_data))
        language = self._pages.language(request)
        return await self._pages.render(
            request,
            "plugins.html",
            plugins=list(self._hub.host.plugins.values()),
            parts={part: problem for part, problem in self._hub.problems().items() if not part.startswith("plugin")},
            healths=healths,
            held=held,
            words_of=lambda name: self._pages.words_of(name, language),
        )

    async def release(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["plugin"]
        if name not in self._hub.host.plugins:
            raise web.HTTPNotFound(text=f"There is no plugin {name}.")
        await self._hub.lives.restart(name)
        actor = session_of(request).account
        await self._hub.store.write(lambda connection: audit.record(connection, actor, "plugin.released", name))
        return see("/plugins")

    async def audit_log(self, request: web.Request) -> web.StreamResponse:
        before = request.query.get("before", "")
        limit = int(before) if before.isdecimal() else None
        entries = await self._hub.store.read(lambda connection: audit.newest(connection, MOST_ENTRIES, limit))
        broken = await self._hub.store.read(audit.first_broken) if "verify" in request.query else None
        return await self._pages.render(
            request,
            "audit.html",
            entries=entries,
            verified="verify" in request.query,
            broken=broken,
            most=MOST_ENTRIES,
        )

    async def error(self, request: web.Request, status: int, detail: str) -> web.Response:
        """For a person whose page did not come; `detail` is for whoever they show it to."""
        return await self._pages.render(request, "error.html", status=status, code=status, detail=detail)

    def _device_values(self) -> dict[str, Any]:
        return {
            "devices": [(device, self._hub.devices.vitals(device.id)) for device in self._hub.devices],
            "tablet_kinds": sorted(self._hub.tablet_kinds),
            "now": datetime.now(UTC),
            "link": None,
            "qr": None,
            "enrolled": None,
        }


def link_of(web_address: str, path: str, enrolment: Enrolment) -> str:
    """The enrolment as a link's fragment, which browsers keep to themselves."""
    return (
        f"{web_address}{path}#device={enrolment.device}&secret={enrolment.secret}"
        f"&site={enrolment.site}&root={enrolment.root}"
    )


def _qr(link: str) -> str:
    """An SVG image as a data address."""
    return str(segno.make(link, error="m").svg_data_uri(scale=4, border=2, light="#fff"))
