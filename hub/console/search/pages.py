"""The search page."""

from aiohttp import web

from devices.contract.payload import clean
from hub.console.search.search import MAX_LENGTH, MIN_LENGTH, search
from hub.hooks.asking import Hooks
from hub.web.pages import Pages
from hub.web.security import session_of


class SearchPage:
    def __init__(self, pages: Pages, hooks: Hooks) -> None:
        self._pages = pages
        self._hooks = hooks
        pages.page("/search", set(), self.search)

    async def search(self, request: web.Request) -> web.StreamResponse:
        text = str(clean(request.query.get("q", "")))[:MAX_LENGTH]
        titles = dict(await self._pages.titles(request))
        answers = await search(self._hooks, text, session_of(request).roles)
        found = [(titles.get(plugin, plugin), findings) for plugin, findings in answers]
        return await self._pages.render(request, "search.html", q=text, found=found, least=MIN_LENGTH)
