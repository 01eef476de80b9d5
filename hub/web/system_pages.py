"""The kernel's own pages: audit log, and the one for what went wrong."""

from typing import TYPE_CHECKING

from aiohttp import web

from devices.contract.enrolment import Enrolment
from hub import audit
from hub.web.forms import number_in
from hub.web.pages import Pages

if TYPE_CHECKING:
    from hub.hub import Hub

MOST_ENTRIES = 100


class SystemPages:
    def __init__(self, pages: Pages, hub: "Hub") -> None:
        self._pages = pages
        self._hub = hub
        pages.page("/audit", {"it"}, self.audit_log)

    async def audit_log(self, request: web.Request) -> web.StreamResponse:
        limit = number_in(request.query.get("before", ""))
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


def link_of(web_address: str, path: str, enrolment: Enrolment) -> str:
    """The enrolment as a link's fragment, which browsers keep to themselves."""
    return (
        f"{web_address}{path}#device={enrolment.device}&secret={enrolment.secret}"
        f"&site={enrolment.site}&root={enrolment.root}"
    )
