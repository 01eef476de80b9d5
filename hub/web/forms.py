"""What a form's POST must be before a page looks at it: small enough, readable, storable text, and whole.

A browser sends every field that its page has, whatever stands in it. What lacks one, or has one more, was not sent by
that page, and what it would mean nobody has decided: an empty form is no order to do the opposite.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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

PASSWORD_AGAIN = "password_again"  # noqa: S105 (the field's name)
ANYWHERE = frozenset({PASSWORD_AGAIN, "username"})
"""Of the page that asks for the password again before a form is served."""
IN_A_ROW = re.compile(r"(.+)-(\d+)", re.ASCII)


@dataclass(frozen=True)
class Form:
    """The fields of a form. The default is one of buttons only."""

    must: Collection[str] = ()
    """Come once each."""
    may: Collection[str] = ()
    """Come once or not at all: checkboxes, and buttons with a name."""
    many: Collection[str] = ()
    """Come as often as somebody likes."""
    rows: Collection[Collection[str]] = ()
    """Come together, any number of times, as `start-0` and `end-0`, `start-1` and `end-1` …"""
    many_in_rows: Mapping[str, str] = field(default_factory=dict)
    """Come as often as somebody likes in the row that another name belongs to: `days-0` beside `start-0`."""
    choices: Mapping[str, Collection[str]] = field(default_factory=dict)
    """What may stand in a field."""

    def mistakes(self, sent: Any) -> Iterator[str]:
        """What is wrong with the names that were sent, and how often; nothing when the form is whole."""
        names = Counter(name for name, _ in sent.items() if name not in ANYWHERE)
        yield from (f"The field {name} is missing." for name in self.must if name not in names)
        once = {*self.must, *self.may}
        in_rows = {name: row for row in self.rows for name in row}
        for name, times in names.items():
            parts = IN_A_ROW.fullmatch(name)
            if name in self.many or (parts and parts[1] in self.many_in_rows):
                pass
            elif name in once or (parts and parts[1] in in_rows):
                if times > 1:
                    yield f"The field {name} comes twice."
            else:
                yield f"There is no field {name} here."
            if parts and (row := in_rows.get(self.many_in_rows.get(parts[1], parts[1]))):
                whole = (f"{one}-{parts[2]}" for one in row)
                yield from (f"The field {one} is missing." for one in whole if one not in names)
        for name, allowed in self.choices.items():
            if any(value not in allowed for value in sent.getall(name, [])):
                yield f"The field {name} is one of {', '.join(sorted(allowed))}."


def must_be(sent: Any, *forms: Form) -> None:
    """Raises HTTPBadRequest unless what was sent is one of these forms, whole."""
    nearest = min((list(form.mistakes(sent)) for form in forms), key=len)
    if nearest:
        raise web.HTTPBadRequest(text=nearest[0])


def with_form(serve: Serve, *forms: Form, is_public: bool = False) -> Serve:
    """`serve` with `await request.post()` already read, so that it raises nothing there.

    No forms: `serve` looks itself at the fields.

    Raises HTTPBadRequest when it is none of the forms, cannot be read, or holds U+0000 or half of a surrogate pair,
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
            if forms:
                must_be(sent, *forms)
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
