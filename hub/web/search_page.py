"""The search on the console: every plugin that knows something about it answers."""

from typing import TYPE_CHECKING

from aiohttp import web

from devices.contract.messages import clean
from hub.hookspecs import find
from hub.web.pages import Pages
from hub.web.security import session_of

if TYPE_CHECKING:
    from hub.hub import Hub

LONGEST = 80
LEAST = 2
MOST_EACH = 10


class SearchPage:
    def __init__(self, pages: Pages, hub: "Hub") -> None:
        self._pages = pages
        self._hub = hub
        pages.page("/search", set(), self.search)

    async def search(self, request: web.Request) -> web.StreamResponse:
        text = str(clean(request.query.get("q", "")))[:LONGEST]
        session = session_of(request)
        answers = await self._hub.hooks.named(find, text=text, limit=MOST_EACH) if len(text) >= LEAST else []
        titles = dict(await self._pages.titles(request))
        found = [
            (titles.get(plugin, plugin), [one for one in findings if session.may(one.roles) and _is_ours(one.path)])
            for plugin, findings in answers
        ]
        return await self._pages.render(
            request, "search.html", q=text, found=[(title, some) for title, some in found if some], least=LEAST
        )


def _is_ours(path: str) -> bool:
    """A page of this console, never a script or another site."""
    return path.startswith("/") and not path.startswith("//")
