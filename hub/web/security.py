"""What every answer and every request goes through: headers, origin check, session, roles, errors."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import hdrs, web

from hub.accounts.accounts import Accounts, Session
from hub.store.trouble import in_store
from hub.web.connections import connection_of, prove
from hub.web.forms import is_storable
from hub.web.problems import KINDS, problem_answer

log = structlog.get_logger("web")

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
ErrorPage = Callable[[web.Request, int, str], Awaitable[web.Response]]
"""Renders an error page for a browser: request, status, detail for developers."""

SESSION: web.RequestKey[Session | None] = web.RequestKey("session", Session | None)  # type: ignore[arg-type]
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
ERROR_HEADERS = (hdrs.ALLOW, hdrs.ACCEPT_ENCODING)
"""Headers of an error that its response keeps."""
CLIENT_CLOSED_REQUEST = 499
"""The client has disconnected, or was disconnected; nobody sees the response."""
UNREAD_STATUSES = (408, 413, 415)
SAFE = {hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS}

STORE_AWAY = "The database does not answer at present. Nothing was changed; the hub goes on as soon as it is back."
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'; connect-src 'self' ws: wss:"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class CrossSiteError(web.HTTPForbidden):
    """A browser sent this request from another site's page."""


def cookie_name(*, is_secure: bool) -> str:
    return "__Host-kommunevert" if is_secure else "kommunevert"


def session_of(request: web.Request) -> Session:
    """The session of a request to a page with roles. Raises KeyError on a public page."""
    session = request[SESSION]
    if session is None:
        raise KeyError("session")
    return session


def middlewares(accounts: Accounts, error_page: ErrorPage, *, is_secure: bool) -> list[Any]:
    """The middlewares, outermost first."""

    @web.middleware
    async def errors(request: web.Request, handler: Serve) -> web.StreamResponse:
        request[REQUEST_ID] = secrets.token_hex(8)
        request[SESSION] = None
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            if error.status < 400:  # noqa: PLR2004
                error.headers.update(_headers(is_secure=is_secure))
                raise
            answer = await _error_response(request, error_page, error, error.text or error.reason)
        except Exception as error:
            if in_store(error):
                answer = await _error_response(request, error_page, web.HTTPServiceUnavailable(), STORE_AWAY)
                answer.headers[hdrs.RETRY_AFTER] = "2"
                return _with_headers(answer, is_secure=is_secure)
            if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
                return web.Response(
                    status=CLIENT_CLOSED_REQUEST
                )  # the client is gone: not our failure, and not worth a log line
            log.exception(
                "request_failed",
                path=_route(request),
                request=request[REQUEST_ID],
                error=type(error).__name__,
            )
            detail = "Something went wrong in the hub. The log has the details."
            answer = await _error_response(request, error_page, web.HTTPInternalServerError(), detail)
        return _with_headers(answer, is_secure=is_secure)

    @web.middleware
    async def session(request: web.Request, handler: Serve) -> web.StreamResponse:
        token = request.cookies.get(cookie_name(is_secure=is_secure))
        request[SESSION] = await accounts.session(token) if token else None
        if request[SESSION] is not None:
            prove(request)
        return await handler(request)

    return [_counted, errors, _without_encoding, _storable, _same_origin, session]


@web.middleware
async def _counted(request: web.Request, handler: Serve) -> web.StreamResponse:
    connection = connection_of(request)
    if connection is None:
        return await handler(request)
    connection.request_began()
    try:
        answer = await handler(request)
    finally:
        connection.request_ended()
    if answer.status in UNREAD_STATUSES and not request.content.is_eof():
        connection.stop_reading()
    return answer


@web.middleware
async def _without_encoding(request: web.Request, handler: Serve) -> web.StreamResponse:
    """Refuse compressed bodies, which could expand to any size (RFC 9110 § 15.5.16)."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() not in ("", "identity"):
        error = web.HTTPUnsupportedMediaType(text="Send it as it is, without Content-Encoding.")
        error.headers[hdrs.ACCEPT_ENCODING] = "identity"
        raise error
    return await handler(request)


@web.middleware
async def _same_origin(request: web.Request, handler: Serve) -> web.StreamResponse:
    """Refuse cross-site requests that change something (T12)."""
    if request.method not in SAFE and not _is_ours(request):
        raise CrossSiteError(text="This request came from another site.")
    return await handler(request)


@web.middleware
async def _storable(request: web.Request, handler: Serve) -> web.StreamResponse:
    """Refuse addresses with U+0000, since their parts reach the database."""
    if not all(map(is_storable, (request.path, *request.query.keys(), *request.query.values()))):
        raise web.HTTPBadRequest(text="The address holds what is no text.")
    return await handler(request)


async def _error_response(
    request: web.Request, error_page: ErrorPage, error: web.HTTPException, detail: str
) -> web.Response:
    """An error page for browsers, a problem document for programs."""
    if _wants_page(request):
        try:
            return await error_page(request, error.status, detail)
        except Exception as failure:
            log.exception("error_page_failed", request=request[REQUEST_ID], error=type(failure).__name__)
    kind = KINDS["cross-site"] if isinstance(error, CrossSiteError) else None
    headers: dict[str, str] = {name: error.headers[name] for name in ERROR_HEADERS if name in error.headers}
    return problem_answer(error.status, request[REQUEST_ID], detail, kind=kind, headers=headers)


def _with_headers(answer: web.StreamResponse, *, is_secure: bool) -> web.StreamResponse:
    if not answer.prepared:
        for name, value in _headers(is_secure=is_secure).items():
            answer.headers.setdefault(name, value)
    return answer


def _headers(*, is_secure: bool) -> dict[str, str]:
    return HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if is_secure else {})


def _is_ours(request: web.Request) -> bool:
    """Whether the request is not cross-site.

    A request to the API with a token is not: another site's page cannot send one (CORS), and the cookie is ignored.
    Otherwise Sec-Fetch-Site decides, else Origin; a program sends neither, and no cookie.
    """
    if _is_api(request) and request.headers.get(hdrs.AUTHORIZATION, "").lower().startswith("bearer "):
        return True
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None:
        return origin.split("://", 1)[-1] == request.host
    return not request.cookies


def _is_api(request: web.Request) -> bool:
    return request.path.startswith("/api/v")


def _wants_page(request: web.Request) -> bool:
    return not _is_api(request) and "text/html" in request.headers.get(hdrs.ACCEPT, "")


def _route(request: web.Request) -> str:
    """The route's pattern; the path itself may contain a token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "?"
