"""What a form's POST must be before a page looks at it: readable, and text that a database can keep."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_request import FileField

MOST_NUMBER = 2**31 - 1
"""What every database takes as a number of a row."""

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


def with_form(serve: Serve) -> Serve:
    """`serve` with `await request.post()` already read, so that it raises nothing there.

    Raises HTTPBadRequest when the form cannot be read, or holds U+0000 or half of a surrogate pair.
    """

    async def reading(request: web.Request) -> web.StreamResponse:
        try:
            sent = await request.post()
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001 (aiohttp raises whatever it stumbles over: LookupError, AssertionError …)
            raise web.HTTPBadRequest(text="The form cannot be read.") from None
        if not all(is_storable(name) and _is_good(value) for name, value in sent.items()):
            raise web.HTTPBadRequest(text="The form holds what is no text.")
        return await serve(request)

    return reading


def number_in(text: str, most: int = MOST_NUMBER) -> int | None:
    """A whole number from 0 to `most`; None for anything else, however long it is."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= len(str(most)) and int(digits) <= most else None


def is_storable(text: str) -> bool:
    """Whether every database takes it: PostgreSQL keeps no U+0000, and nobody half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _is_good(value: object) -> bool:
    if isinstance(value, FileField):
        return is_storable(value.filename)
    return isinstance(value, str) and is_storable(value)
