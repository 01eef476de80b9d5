"""What a form's POST must be before a page looks at it: small enough, readable, and text that a database can keep."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_request import FileField

MOST_NUMBER = 2**31 - 1
"""What every database takes as a number of a row."""
PUBLIC_BYTES = 8_192
PUBLIC_FIELDS = 20
"""What anybody may send without login. Reading a form holds the loop, so it is not even begun on a larger one."""
BODY_SECONDS = 10.0
"""How long a body may take to come."""

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


def with_form(serve: Serve, *, is_public: bool = False) -> Serve:
    """`serve` with `await request.post()` already read, so that it raises nothing there.

    Raises HTTPBadRequest when the form cannot be read, or holds U+0000 or half of a surrogate pair,
    HTTPRequestEntityTooLarge when there is too much of it, and HTTPRequestTimeout when it does not come.
    """

    async def reading(request: web.Request) -> web.StreamResponse:
        if is_public:
            request = request.clone(client_max_size=PUBLIC_BYTES, client_max_fields=PUBLIC_FIELDS)
        must_fit(request, request.client_max_size)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                sent = await request.post()
        except web.HTTPException:
            raise
        except TimeoutError:
            raise _too_slow() from None
        except Exception:  # noqa: BLE001 (aiohttp raises whatever it stumbles over: LookupError, AssertionError …)
            raise web.HTTPBadRequest(text="The form cannot be read.") from None
        try:
            if not all(is_storable(name) and _is_good(value) for name, value in sent.items()):
                raise web.HTTPBadRequest(text="The form holds what is no text.")
            return await serve(request)
        finally:
            for value in sent.values():
                if isinstance(value, FileField):
                    value.file.close()  # aiohttp closes those of its own request, and this may be a copy

    return reading


async def body_of(request: web.Request, most_bytes: int) -> bytes:
    """The whole body. Raises HTTPRequestEntityTooLarge and HTTPRequestTimeout."""
    must_fit(request, most_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most_bytes:
                    raise web.HTTPRequestEntityTooLarge(most_bytes)
    except TimeoutError:
        raise _too_slow() from None
    return bytes(body)


def must_fit(request: web.Request, most_bytes: int) -> None:
    """Raises HTTPRequestEntityTooLarge when the request says itself that it is larger."""
    if (request.content_length or 0) > most_bytes:
        raise web.HTTPRequestEntityTooLarge(most_bytes)


def _too_slow() -> web.HTTPRequestTimeout:
    return web.HTTPRequestTimeout(text="The rest of the request did not come.")


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
