"""Validation of a form's POST before its page handles it: small enough, readable, storable text, and complete.

A browser sends every field of a form, even empty ones. A POST with a missing or an extra field was not sent by that
form, and is refused rather than guessed at.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

MAX_NUMBER = 2**31 - 1
"""The largest row id of every database."""
PUBLIC_BYTES = 8_192
PUBLIC_FIELDS = 20
"""Limits for forms without login. Parsing a form blocks the loop, so larger ones are not parsed."""
BODY_SECONDS = 10.0
"""Time limit for receiving a body."""

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]

PASSWORD_AGAIN = "password_again"  # noqa: S105 (the field's name)
ANYWHERE = frozenset({PASSWORD_AGAIN, "username"})
"""Fields added by the page that asks for the password again."""
ROW_FIELD = re.compile(r"(.+)-(\d+)", re.ASCII)


@dataclass(frozen=True)
class Form:
    """The fields of a form; none by default, as for a form with only buttons."""

    must: Collection[str] = ()
    """Required, once each."""
    may: Collection[str] = ()
    """Optional, at most once: checkboxes, and buttons with a name."""
    many: Collection[str] = ()
    """Any number of times."""
    rows: Collection[Collection[str]] = ()
    """Groups of fields that are repeated together: `start-0` and `end-0`, `start-1` and `end-1` …"""
    many_in_rows: Mapping[str, str] = field(default_factory=dict)
    """Fields that may be repeated within a row, with a field of that row: `days-0` beside `start-0`."""
    choices: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The allowed values of a field."""

    def mistakes(self, sent: Any) -> Iterator[str]:
        """What is wrong with the submitted fields; nothing if they match the form."""
        names = Counter(name for name, _ in sent.items() if name not in ANYWHERE)
        yield from (f"The field {name} is missing." for name in self.must if name not in names)
        once = {*self.must, *self.may}
        in_rows = {name: row for row in self.rows for name in row}
        for name, times in names.items():
            parts = ROW_FIELD.fullmatch(name)
            if name in self.many or (parts and parts[1] in self.many_in_rows):
                pass
            elif name in once or (parts and parts[1] in in_rows):
                if times > 1:
                    yield f"The field {name} comes twice."
            else:
                yield f"There is no field {name} here."
            if parts and (row := in_rows.get(self.many_in_rows.get(parts[1], parts[1]))):
                names_of_row = (f"{one}-{parts[2]}" for one in row)
                yield from (f"The field {one} is missing." for one in names_of_row if one not in names)
        for name, allowed in self.choices.items():
            if any(value not in allowed for value in sent.getall(name, [])):
                yield f"The field {name} is one of {', '.join(sorted(allowed))}."


def must_be(sent: Any, *forms: Form) -> None:
    """Raises HTTPBadRequest unless the submitted fields match one of these forms."""
    nearest = min((list(form.mistakes(sent)) for form in forms), key=len)
    if nearest:
        raise web.HTTPBadRequest(text=nearest[0])


def with_form(serve: Serve, *forms: Form, is_public: bool = False) -> Serve:
    """`serve`, called after the form was read and validated, so that `await request.post()` does not raise there.

    Without `forms`, `serve` validates the fields itself.

    Raises HTTPBadRequest if it matches none of the forms, cannot be parsed, or contains U+0000 or half of a surrogate
    pair, HTTPRequestEntityTooLarge if it is too large, and HTTPRequestTimeout if it is not received in time.
    """

    async def read_and_serve(request: web.Request) -> web.StreamResponse:
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
        except Exception:  # noqa: BLE001 (aiohttp raises LookupError, AssertionError and others)
            raise web.HTTPBadRequest(text="The form cannot be read.") from None
        try:
            if not all(is_storable(name) and _is_valid(value) for name, value in sent.items()):
                raise web.HTTPBadRequest(text="The form holds what is no text.")
            if forms:
                must_be(sent, *forms)
            return await serve(request)
        finally:
            for value in sent.values():
                if isinstance(value, FileField):
                    value.file.close()  # aiohttp closes only files of its own request, and this may be a clone

    return read_and_serve


async def body_of(request: web.Request, max_bytes: int) -> bytes:
    """The whole body. Raises HTTPRequestEntityTooLarge and HTTPRequestTimeout."""
    must_fit(request, max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    raise web.HTTPRequestEntityTooLarge(max_bytes)
    except TimeoutError:
        raise _too_slow() from None
    return bytes(body)


def must_fit(request: web.Request, max_bytes: int) -> None:
    """Raises HTTPRequestEntityTooLarge if the Content-Length is larger."""
    if (request.content_length or 0) > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_bytes)


def _too_slow() -> web.HTTPRequestTimeout:
    return web.HTTPRequestTimeout(text="The rest of the request did not come.")


def number_in(text: str, maximum: int = MAX_NUMBER) -> int | None:
    """A whole number from 0 to `most`; None for anything else, however long it is."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= len(str(maximum)) and int(digits) <= maximum else None


def is_storable(text: str) -> bool:
    """Whether every database can store it: PostgreSQL refuses U+0000, and none stores half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _is_valid(value: object) -> bool:
    if isinstance(value, FileField):
        return is_storable(value.filename)
    return isinstance(value, str) and is_storable(value)
