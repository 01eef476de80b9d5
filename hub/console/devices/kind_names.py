"""Names of kinds of device, from the plugins that drive them."""

from collections.abc import Callable

from aiohttp import web

from hub.devices.enroller import Enroller
from hub.web.pages import Pages


def kind_names(pages: Pages, enroller: Enroller, request: web.Request) -> Callable[[str], str]:
    """A function from a kind to its name in the page's language, or the kind itself if no plugin names it."""

    def named(kind: str) -> str:
        driven = enroller.driven.get(kind)
        return kind if driven is None else pages.words_of(driven.owner, pages.language(request))(driven.name)

    return named
