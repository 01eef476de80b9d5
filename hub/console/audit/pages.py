"""The kernel's own pages: the audit log, and the error page."""

from aiohttp import web

from hub.store import audit
from hub.store.store import Store
from hub.web.forms import number_in
from hub.web.pages import Pages

MAX_ENTRIES = 100


class SystemPages:
    def __init__(self, pages: Pages, store: Store) -> None:
        self._pages = pages
        self._store = store
        pages.page("/audit", {"it"}, self.audit_log)

    async def audit_log(self, request: web.Request) -> web.StreamResponse:
        limit = number_in(request.query.get("before", ""))
        entries = await self._store.read(lambda connection: audit.newest(connection, MAX_ENTRIES, limit))
        broken = await self._store.read(audit.first_broken) if "verify" in request.query else None
        return await self._pages.render(
            request,
            "audit.html",
            entries=entries,
            verified="verify" in request.query,
            broken=broken,
            most=MAX_ENTRIES,
        )

    async def error(self, request: web.Request, status: int, detail: str) -> web.Response:
        """The error page; `detail` is for developers."""
        return await self._pages.render(request, "error.html", status=status, code=status, detail=detail)
