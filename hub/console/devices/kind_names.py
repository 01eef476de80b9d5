"""What people call a kind of device, in the words of the plugin that drives it."""

from collections.abc import Callable

from aiohttp import web

from hub.devices.enroller import Enroller
from hub.web.pages import Pages


def kind_names(pages: Pages, enroller: Enroller, request: web.Request) -> Callable[[str], str]:
    """Gives a kind's name in the page's language; the kind itself while no plugin names it."""

    def named(kind: str) -> str:
        driven = enroller.driven.get(kind)
        return kind if driven is None else pages.words_of(driven.owner, pages.language(request))(driven.name)

    return named
