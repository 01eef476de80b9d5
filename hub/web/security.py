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
"""For people who came by a browser: the request, the status, what is wrong in a developer's words."""

SESSION: web.RequestKey[Session | None] = web.RequestKey("session", Session | None)  # type: ignore[arg-type]
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
TOLD_ON = (hdrs.ALLOW, hdrs.ACCEPT_ENCODING)
"""Headers of an error that its answer has too."""
GONE = 499
"""For nobody: whoever asked has gone, or was ended."""
NOT_READ = (408, 413, 415)
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
    """A browser sent this in the name of another site's page."""


def cookie_name(*, is_secure: bool) -> str:
    return "__Host-kommunevert" if is_secure else "kommunevert"


def session_of(request: web.Request) -> Session:
    """The session of a page that has roles. Raises KeyError on a public one."""
    session = request[SESSION]
    if session is None:
        raise KeyError("session")
    return session


def middlewares(accounts: Accounts, error_page: ErrorPage, *, is_secure: bool) -> list[Any]:
    """In the order in which a request meets them."""

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
            answer = await _told(request, error_page, error, error.text or error.reason)
        except Exception as error:
            if in_store(error):
                answer = await _told(request, error_page, web.HTTPServiceUnavailable(), STORE_AWAY)
                answer.headers[hdrs.RETRY_AFTER] = "2"
                return _with_headers(answer, is_secure=is_secure)
            if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
                return web.Response(status=GONE)  # no failure of ours, nor worth a line in the log for each of many
            log.exception(
                "request_failed",
                path=_route(request),
                request=request[REQUEST_ID],
                error=type(error).__name__,
            )
            detail = "Something went wrong in the hub. The log has the details."
            answer = await _told(request, error_page, web.HTTPInternalServerError(), detail)
        return _with_headers(answer, is_secure=is_secure)

    @web.middleware
    async def session(request: web.Request, handler: Serve) -> web.StreamResponse:
        token = request.cookies.get(cookie_name(is_secure=is_secure))
        request[SESSION] = await accounts.session(token) if token else None
        if request[SESSION] is not None:
            prove(request)
        return await handler(request)

    return [_counted, errors, _plain, _storable, _same_origin, session]


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
    if answer.status in NOT_READ and not request.content.is_eof():
        connection.read_no_more()
    return answer


@web.middleware
async def _plain(request: web.Request, handler: Serve) -> web.StreamResponse:
    """A kilobyte that unpacks to a gigabyte is nobody's form (RFC 9110 § 15.5.16). The server unpacks nothing."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() not in ("", "identity"):
        error = web.HTTPUnsupportedMediaType(text="Send it as it is, without Content-Encoding.")
        error.headers[hdrs.ACCEPT_ENCODING] = "identity"
        raise error
    return await handler(request)


@web.middleware
async def _same_origin(request: web.Request, handler: Serve) -> web.StreamResponse:
    """Nobody else's page may act in our user's name (T12)."""
    if request.method not in SAFE and not _is_ours(request):
        raise CrossSiteError(text="This request came from another site.")
    return await handler(request)


@web.middleware
async def _storable(request: web.Request, handler: Serve) -> web.StreamResponse:
    """Whatever is looked for or kept by an address reaches a database, which takes no U+0000."""
    if not all(map(is_storable, (request.path, *request.query.keys(), *request.query.values()))):
        raise web.HTTPBadRequest(text="The address holds what is no text.")
    return await handler(request)


async def _told(request: web.Request, error_page: ErrorPage, error: web.HTTPException, detail: str) -> web.Response:
    """A page for people, a problem document for programs."""
    if _wants_page(request):
        try:
            return await error_page(request, error.status, detail)
        except Exception as failure:
            log.exception("error_page_failed", request=request[REQUEST_ID], error=type(failure).__name__)
    kind = KINDS["cross-site"] if isinstance(error, CrossSiteError) else None
    headers: dict[str, str] = {name: error.headers[name] for name in TOLD_ON if name in error.headers}
    return problem_answer(error.status, request[REQUEST_ID], detail, kind=kind, headers=headers)


def _with_headers(answer: web.StreamResponse, *, is_secure: bool) -> web.StreamResponse:
    if not answer.prepared:
        for name, value in _headers(is_secure=is_secure).items():
            answer.headers.setdefault(name, value)
    return answer


def _headers(*, is_secure: bool) -> dict[str, str]:
    return HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if is_secure else {})


def _is_ours(request: web.Request) -> bool:
    """To the API by a token, which no other site's page can send without our leave (CORS); the cookie is not looked at.

    Else by Sec-Fetch-Site, which all browsers send; else by Origin; a program sends neither, and no cookie.
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
    """The route's pattern, never the path: a path may hold a token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "?"
