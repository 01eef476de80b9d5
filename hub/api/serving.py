"""Operations as routes: who asks, may they, what do they send, has it changed, was it done before; then the answer."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, urlencode
from weakref import WeakValueDictionary

import structlog
from aiohttp import hdrs, web
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError

from hub.accounts.tokens import Tokens
from hub.api.idempotency import IdempotencyKey, IdempotencyKeys, SavedResponse
from hub.api.operations import IF_MATCH_PATTERN, KEY_PATTERN, PASSWORD_AGAIN, PREFIX, Call, Caller, Operation, Page
from hub.hooks.asking import Blame
from hub.hooks.guard import call_guarded, guarded
from hub.hooks.limits import Limiter
from hub.store.store import Store
from hub.web.connections import prove
from hub.web.forms import body_of
from hub.web.problems import FieldError, ProblemError, problem_answer
from hub.web.security import REQUEST_ID, SESSION

log = structlog.get_logger("api")

OPERATION_SECONDS = 60
UNKNOWN_TOKEN_DIVISOR = 20
"""Addresses with unknown tokens get a twentieth of the usual rate."""
JSON = "application/json"
FIELDS = frozenset({"missing", "extra_forbidden"})
"""pydantic's error types for a missing or unknown field."""
SAVED_HEADERS = (hdrs.LOCATION, hdrs.CACHE_CONTROL)
MATCH = re.compile(IF_MATCH_PATTERN)
KEY = re.compile(KEY_PATTERN)
NO_TEXT = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""U+0000 escaped in JSON, which PostgreSQL cannot store in a text; `\\\\u0000` is a backslash and five characters."""
BEARER: dict[str, str] = {hdrs.WWW_AUTHENTICATE: "Bearer"}

requests_total = Counter("api_requests_total", "Requests to the HTTP API", ["operation", "status"])


class ApiServer:
    """All operations of the kernel and the plugins, as routes below `/api/v1`."""

    def __init__(
        self,
        tokens: Tokens,
        store: Store,
        blame: Blame,
        *,
        requests_per_minute: int,
    ) -> None:
        self.operations: dict[tuple[str, str], Operation] = {}
        self._tokens = tokens
        self._keys = IdempotencyKeys(store)
        self._blame = blame
        self._limit = Limiter(requests_per_minute, 60)
        self._unknown_token_limit = Limiter(max(requests_per_minute // UNKNOWN_TOKEN_DIVISOR, 1), 60)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def offer(self, operations: Iterable[Operation]) -> list[web.RouteDef]:
        """Register operations. Returns their routes: fixed paths before those with parameters, which would match too.

        Raises ValueError for two operations with the same method and path.
        """
        offered = list(operations)
        for operation in offered:
            other = self.operations.setdefault((operation.method, operation.path), operation)
            if other is not operation:
                raise ValueError(
                    f"{operation.method} {PREFIX}{operation.path} is offered by {other.owner} and {operation.owner}"
                )
        ordered = sorted(offered, key=lambda operation: ("{" in operation.path, operation.path))
        return [web.route(operation.method, PREFIX + operation.path, self._route(operation)) for operation in ordered]

    def withdraw(self, owner: str) -> None:
        """Remove the owner's operations, so that their paths are free."""
        self.operations = {key: operation for key, operation in self.operations.items() if operation.owner != owner}

    def _route(self, operation: Operation) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                answer = await self._serve(operation, request)
            except ProblemError as problem:
                answer = problem_answer(
                    problem.kind.status,
                    request[REQUEST_ID],
                    problem.detail,
                    kind=problem.kind,
                    errors=problem.errors,
                    headers=problem.headers,
                )
            requests_total.labels(operation.id, answer.status).inc()
            return answer

        return serve

    async def _serve(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        caller = await self._caller(request)
        if not caller.may(operation):
            raise ProblemError("forbidden", _why_forbidden(operation, caller))
        if operation.asks_again and not caller.is_confirmed:
            raise ProblemError("password-again", PASSWORD_AGAIN)
        if self._blame.is_quarantined(operation.owner):
            raise ProblemError("unavailable", f"The plugin {operation.owner} is out of order.")
        call = await _parsed(operation, request, caller)
        if operation.stream is not None:
            return await operation.stream(request, call)
        if operation.method == "POST" and (key := _idempotency_key(request)) is not None:
            return await self._run_idempotently(operation, request, call, key)
        if operation.needs_match:
            async with self._lock(request.path):
                await self._match(operation, request, call)
                return await self._respond(operation, request, call)
        return await self._respond(operation, request, call)

    # -- the caller

    async def _caller(self, request: web.Request) -> Caller:
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        if authorization is not None:
            caller = await self._bearer(request, authorization)
        elif (session := request[SESSION]) is not None:
            caller = Caller(
                f"account {session.account}", session.account, session.roles, is_confirmed=session.is_confirmed
            )
        else:
            raise ProblemError(
                "unauthenticated", "Log in, or send `Authorization: Bearer` and a token.", headers=BEARER
            )
        self._check_rate(self._limit, caller.id)
        return caller

    async def _bearer(self, request: web.Request, authorization: str) -> Caller:
        scheme, _, secret = authorization.partition(" ")
        address = request.remote or "?"
        if self._unknown_token_limit.is_spent(address) and not self._tokens.is_known(secret.strip()):
            self._check_rate(self._unknown_token_limit, address)  # without reading the store
        token = await self._tokens.verify(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            self._check_rate(self._unknown_token_limit, address)
            detail = "This token is not known, has expired or is revoked."
            raise ProblemError(
                "unauthenticated", detail, headers={hdrs.WWW_AUTHENTICATE: 'Bearer error="invalid_token"'}
            )
        prove(request)
        return Caller(f"token {token.id}", token.actor, scopes=frozenset(token.scopes), token=token.id)

    def _check_rate(self, limit: Limiter, key: str) -> None:
        if wait := limit.wait_seconds(key):
            seconds = str(int(wait) + 1)
            raise ProblemError("too-many-requests", f"Wait {seconds} s.", headers={hdrs.RETRY_AFTER: seconds})

    # -- Idempotency-Key and If-Match

    async def _run_idempotently(
        self, operation: Operation, request: web.Request, call: Call[Any, Any, Any], text: str
    ) -> web.StreamResponse:
        fingerprint = b"\0".join((operation.id.encode(), request.path.encode(), call.body.model_dump_json().encode()))
        started = await self._keys.begin(call.caller.id, text, fingerprint)
        if isinstance(started, SavedResponse):
            return _answer(started.status, started.body, started.headers | {"Idempotency-Replayed": "true"})
        return await self._run_with_key(operation, request, call, started)

    async def _run_with_key(
        self, operation: Operation, request: web.Request, call: Call[Any, Any, Any], key: IdempotencyKey
    ) -> web.StreamResponse:
        try:
            answer = await self._respond(operation, request, call)
        except ProblemError as problem:
            if problem.kind.status < 500:  # noqa: PLR2004
                await self._keys.forget(key)
            else:
                self._keys.abandon(key)
            raise
        except BaseException:
            self._keys.abandon(key)
            raise
        headers = {str(name): answer.headers[name] for name in SAVED_HEADERS if name in answer.headers}
        await self._keys.finish(key, SavedResponse(answer.status, headers, answer.text or ""))
        return answer

    def _lock(self, path: str) -> asyncio.Lock:
        """Serialises changes of a resource, so that none comes between the check of its ETag and the change."""
        return self._locks.setdefault(path, asyncio.Lock())

    async def _match(self, operation: Operation, request: web.Request, call: Call[Any, Any, Any]) -> None:
        get_operation = self.operations["GET", operation.path]
        current = _etag(
            await self._run(get_operation, Call(call.path, get_operation.query(), get_operation.body(), call.caller))
        )
        wanted = request.headers.get(hdrs.IF_MATCH)
        if wanted is None:
            raise ProblemError("precondition-required", "Get it and send its ETag in `If-Match`.")
        if not MATCH.fullmatch(wanted.strip()):
            raise ProblemError("malformed", "`If-Match` is an ETag in its quotes, some of them, or `*`.")
        if wanted.strip() != "*" and current not in (one.strip() for one in wanted.split(",")):
            raise ProblemError("stale", "It has changed since you got it.")

    # -- the answer

    async def _respond(self, operation: Operation, request: web.Request, call: Call[Any, Any, Any]) -> web.Response:
        result = await self._run(operation, call)
        headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store" if operation.is_personal else "private, no-cache"}
        if operation.method != "GET":
            headers[hdrs.CACHE_CONTROL] = "no-store"
        if isinstance(result, Page):
            if result.next is not None:
                result = result.model_copy(update={"next": _next(request, result.next)})
                headers[hdrs.LINK] = f'<{result.next}>; rel="next"'
        elif result is not None and (operation.has_etag or operation.needs_match):
            headers[hdrs.ETAG] = _etag(result)
            if operation.method == "GET" and headers[hdrs.ETAG] in request.headers.get(hdrs.IF_NONE_MATCH, ""):
                return web.Response(status=304, headers=headers)
        if operation.location is not None and result is not None:
            fields = {name: quote(str(value), safe="") for name, value in result.model_dump().items()}
            headers[hdrs.LOCATION] = PREFIX + operation.location.format_map(fields)
        return _answer(operation.status, result.model_dump_json() if result is not None else "", headers)

    async def _run(self, operation: Operation, call: Call[Any, Any, Any]) -> BaseModel | None:
        limit = asyncio.timeout(OPERATION_SECONDS)
        try:
            async with limit:
                owner = self._blame.owner(operation.owner)
                result: BaseModel | None = await (
                    operation.handler(call)
                    if owner is None
                    else guarded(owner, call_guarded(owner, operation.handler, call))
                )
        except ProblemError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                self._blame.failed(operation.owner, f"operation {operation.id}", error)
                raise ProblemError("unavailable", "This took too long.") from error
            self._blame.raised(operation.owner, f"operation {operation.id}", error)
            raise
        return result


def _why_forbidden(operation: Operation, caller: Caller) -> str:
    if caller.scopes is not None:
        return f"This needs a token with the scope {operation.scope}."
    return f"This is for {', '.join(sorted(operation.roles))}."


def _idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise ProblemError("malformed", "An Idempotency-Key has 1 to 255 printable ASCII characters, and no blank.")
    return key


async def _parsed(operation: Operation, request: web.Request, caller: Caller) -> Call[Any, Any, Any]:
    """Raises not-found, invalid, malformed or media-type."""
    try:
        path = operation.parameters.model_validate(dict(request.match_info))
    except ValidationError as error:
        raise ProblemError("not-found", "Nothing has such an id.", errors=_errors("path", error)) from None
    repeated = [name for name in request.query if len(request.query.getall(name)) > 1]
    if repeated:
        raise ProblemError(
            "invalid", "A parameter comes once.", errors=[FieldError(at=f"query/{repeated[0]}", detail="twice")]
        )
    try:
        query = operation.query.model_validate(dict(request.query))
    except ValidationError as error:
        raise ProblemError("invalid", "Look at `errors`.", errors=_errors("query", error)) from None
    return Call(path, query, await _body(operation, request), caller)


async def _body(operation: Operation, request: web.Request) -> BaseModel:
    raw = await body_of(request, request.client_max_size)
    if not operation.body.model_fields and not raw:
        return operation.body()
    if request.content_type != JSON:
        raise ProblemError("media-type", f"A body is {JSON}.", headers={hdrs.ACCEPT: JSON})
    if NO_TEXT.search(raw):
        raise ProblemError("malformed", "The body holds the character U+0000, which is no text.")
    try:
        return operation.body.model_validate_json(raw, strict=True)  # the parts of a Request too
    except ValidationError as error:
        if any(one["type"] == "json_invalid" for one in error.errors(include_input=False)):
            raise ProblemError("malformed", "The body is not JSON.") from None
        kind = "fields" if any(one["type"] in FIELDS for one in error.errors(include_input=False)) else "invalid"
        raise ProblemError(kind, "Look at `errors`.", errors=_errors("body", error)) from None


def _errors(part: str, error: ValidationError) -> list[FieldError]:
    """Without the invalid values, which may be personal and are known to the sender."""
    return [
        FieldError(at="/".join((part, *map(str, one["loc"]))), detail=one["msg"])
        for one in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def _etag(result: BaseModel | None) -> str:
    text = result.model_dump_json() if result is not None else ""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _next(request: web.Request, cursor: str) -> str:
    return f"{request.path}?{urlencode({**request.query, 'cursor': cursor})}"


def _answer(status: int, body: str, headers: dict[str, str]) -> web.Response:
    if not body:
        return web.Response(status=status, headers=headers)
    return web.Response(status=status, text=body, content_type=JSON, headers=headers)


def as_json(document: str) -> web.Response:
    """A JSON response."""
    return web.Response(text=document, content_type=JSON, headers={hdrs.CACHE_CONTROL: "no-cache"})
