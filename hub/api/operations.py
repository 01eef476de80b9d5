"""How the kernel and plugins declare what the HTTP API can do. Route and OpenAPI are both made of it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import NoneType
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from aiohttp import web
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import PydanticUndefined

from devices.contract.payload import Id
from hub.hooks.specifications import Role
from hub.web.problems import ProblemError

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

PREFIX = "/api/v1"
MOST_ON_A_PAGE = 200
FIRST_YEAR, LAST_YEAR = 1970, 2200
PASSWORD_AGAIN = "Do it in the console, which asks for the password again, or use a token."  # noqa: S105 (a sentence)
KEY_PATTERN = "^[!-~]{1,255}$"
"""Of an Idempotency-Key."""
IF_MATCH_PATTERN = r'^(\*|"[!#-~]+"(, ?"[!#-~]+")*)$'
"""Strong ETags (RFC 9110 § 13.1.1); a weak one never matches."""


class Request(BaseModel):
    """What a caller sends: unknown fields are refused, and nothing is guessed (`"1"` is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Query(BaseModel):
    """What stands behind the `?`: text, from which numbers are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Document(BaseModel):
    """What a caller gets. A field may come; one that has been there stays within a version of the API."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


_DATE_AND_TIME = TypeAdapter(datetime)


def _written_out(value: object) -> object:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and "T" in value.upper():
            return _DATE_AND_TIME.validate_strings(value)
    except ValidationError:
        pass
    raise ValueError("is no date and time, such as 2026-11-24T09:15:00Z")


def _in_our_times(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_our_times)]
"""A date and time with a zone (RFC 3339) that every zone and database can show.

pydantic alone would take a number for one too, and the year 1, which is no year any more some hours further west.
"""


def whole(value: object) -> object:
    """3.0 as 3, and everything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
"""A whole number in a body: for JSON, 3.0 is one too.

The limits of one that may also be null stand before `whole` in an Annotated of its own, else the schema has none.
"""


class Nothing(Query):
    """No parameters, or no body."""


class OneId(Query):
    """The path of one thing."""

    id: Id


class PageQuery(Query):
    cursor: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,200}$")] | None = Field(
        default=None, description="from `next` of the page before"
    )
    limit: int = Field(default=50, ge=1, le=MOST_ON_A_PAGE)


P = TypeVar("P", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)
T = TypeVar("T")


class Page(Document, Generic[T]):
    """A part of a list."""

    items: list[T]
    next: str | None = Field(default=None, description="the address of the next page; null at the end")


@dataclass(frozen=True)
class Caller:
    """Who asks: somebody with a session and its roles, or a token with its scopes."""

    id: str
    """Nobody else's: what limits and Idempotency-Keys are counted by."""
    name: str
    """As it stands in the audit log."""
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[str] | None = None
    """None: a session, which has all that its roles have."""
    is_confirmed: bool = True
    """A token, or a session whose password was given lately."""
    token: str | None = None
    """The token's id; None for a session."""

    def may(self, operation: "Operation") -> bool:
        if self.scopes is not None:
            return operation.scope is None or operation.scope in self.scopes
        if operation.all_roles:
            return self.roles >= operation.roles
        return not operation.roles or bool(self.roles & operation.roles)


@dataclass(frozen=True)
class Call(Generic[P, Q, B]):
    """One request, checked."""

    path: P
    query: Q
    body: B
    caller: Caller


Stream = Callable[[web.Request, Call[Any, Any, Any]], Awaitable[web.StreamResponse]]
Handler = TypeVar("Handler", bound=Callable[[Any, Call[Any, Any, Any]], Awaitable[BaseModel | None]])
StreamHandler = TypeVar(
    "StreamHandler", bound=Callable[[Any, web.Request, Call[Any, Any, Any]], Awaitable[web.StreamResponse]]
)
OFFERED = "_offered"
"""The attribute of a handler that makes its Operation, of an owner and the handler's object."""


@dataclass(frozen=True)
class Operation:
    """One method on one path below `/api/v1`. A scope of None: any caller with a role or a token."""

    owner: str
    method: Method
    path: str
    summary: str
    scope: str | None
    roles: frozenset[Role]
    answer: type[BaseModel] | None
    take: Callable[[Call[Any, Any, Any]], Awaitable[Any]]
    parameters: type[BaseModel] = Nothing
    query: type[BaseModel] = Nothing
    body: type[BaseModel] = Nothing
    status: int = 200
    location: str | None = None
    """The path of what was made, filled with the answer's fields."""
    problems: tuple[str, ...] = ()
    """What this operation raises besides what every operation may."""
    is_personal: bool = False
    asks_again: bool = False
    """A session whose password was given long ago may not."""
    all_roles: bool = False
    """A session needs all of `roles`, and not one of them."""
    stream: Stream | None = None

    @property
    def has_etag(self) -> bool:
        """One thing, not a list and not a stream."""
        return self.method == "GET" and self.stream is None and not self.is_list

    @property
    def is_list(self) -> bool:
        return self.answer is not None and issubclass(self.answer, Page)

    @property
    def needs_match(self) -> bool:
        return self.method in ("PUT", "PATCH", "DELETE")

    @property
    def id(self) -> str:
        """`get_devices_device`, for generated clients."""
        words = self.path.replace("{", "").replace("}", "").replace("-", "_").strip("/").split("/")
        return "_".join([self.method.lower(), *words])


def operation(
    method: Method,
    path: str,
    *,
    summary: str,
    scope: str | None,
    roles: AbstractSet[Role] | Callable[[Any], AbstractSet[Role]],
    status: int = 200,
    location: str | None = None,
    problems: Sequence[str] = (),
    is_personal: bool = False,
    asks_again: bool = False,
    all_roles: bool = False,
) -> Callable[[Handler], Handler]:
    """Make a method an operation, `method` on `path`, that `Api.offer` finds. `roles` may ask the method's object.

    What it takes and answers stands in its own types: `(self, call: Call[Path, Query, Body]) -> Document`, or None
    where there is no answer. Raises TypeError for a method that does not say so.

    A PUT replaces a thing, so each field of its body must come, whatever the model says: what is left out would
    fall back to what it is for a new one.

    GET: one thing, which gets an ETag, or a Page. PUT, PATCH, DELETE: of what a GET on the same path shows; the
    caller must have seen its present state (If-Match). POST: the same Idempotency-Key twice does it once.
    """

    def declare(handler: Handler) -> Handler:
        parameters, query, body, answer = _types(handler)
        whole_body = _whole(body) if method == "PUT" else body
        known = (*(("not-found",) if parameters is not Nothing else ()), *(("password-again",) if asks_again else ()))

        def offered(owner: str, source: object) -> Operation:
            return Operation(
                owner=owner,
                method=method,
                path=path,
                summary=summary,
                scope=scope,
                roles=frozenset(roles(source) if callable(roles) else roles),
                answer=answer,
                take=partial(handler, source),
                parameters=parameters,
                query=query,
                body=whole_body,
                status=status if answer is not None else 204,
                location=location,
                problems=tuple(dict.fromkeys((*known, *problems))),
                is_personal=is_personal,
                asks_again=asks_again,
                all_roles=all_roles,
            )

        setattr(handler, OFFERED, offered)
        return handler

    return declare


def stream(
    path: str, *, summary: str, scope: str, roles: AbstractSet[Role]
) -> Callable[[StreamHandler], StreamHandler]:
    """Make a method `(self, request, call)` an operation of server-sent events, for as long as the caller listens."""

    def declare(handler: StreamHandler) -> StreamHandler:
        _, query, _, _ = _types(handler)

        def offered(owner: str, source: object) -> Operation:
            serve = partial(handler, source)
            return Operation(
                owner, "GET", path, summary, scope, frozenset(roles), None, _nothing, query=query, stream=serve
            )

        setattr(handler, OFFERED, offered)
        return handler

    return declare


@dataclass
class Api:
    """One owner's operations."""

    owner: str
    operations: list[Operation] = field(default_factory=list)

    def offer(self, *objects: object) -> None:
        """Offer all operations of these, in the order in which their classes define them."""
        for one in objects:
            offered = (getattr(member, OFFERED, None) for member in vars(type(one)).values())
            self.operations += [make(self.owner, one) for make in offered if make is not None]


def _types(handler: Callable[..., Any]) -> tuple[type[BaseModel], type[BaseModel], type[BaseModel], Any]:
    """Models of path, query, body and answer."""
    call, answer = [None, None, *get_type_hints(handler).values()][-2:]
    if get_origin(call) is not Call:
        raise TypeError(f"{handler.__qualname__} does not say `call: Call[Path, Query, Body]`, and what it answers")
    parameters, query, body = get_args(call)
    return parameters, query, body, None if answer is NoneType else answer


def _whole(body: type[B]) -> type[B]:
    """The same with all fields required; itself when they are."""
    optional = {name: copy(one) for name, one in body.model_fields.items() if not one.is_required()}
    if not optional:
        return body
    for one in optional.values():
        one.default, one.default_factory = PydanticUndefined, None
    fields: Any = {name: (one.annotation, one) for name, one in optional.items()}
    return create_model(f"Whole{body.__name__}", __base__=body, __doc__=body.__doc__, **fields)


async def _nothing(_call: Call[Any, Any, Any]) -> None:
    """A stream answers by itself."""


def found(thing: T | None, what: str) -> T:
    """The thing. Raises the problem not-found: `There is no <what>.`"""
    if thing is None:
        raise ProblemError("not-found", f"There is no {what}.")
    return thing


def page_of(
    items: Iterable[T],
    key: Callable[[T], str],
    query: PageQuery,
    *,
    newest_first: bool = False,
    mark: Callable[[T], str] | None = None,
) -> tuple[list[T], str | None]:
    """A part of a list that is in memory, by `key` (unique), and the cursor of the next part.

    A cursor holds the key of the last one that was seen, so that what comes or goes meanwhile shifts nothing. Where the
    key is personal, `mark` (an id) stands in the cursor instead: addresses end up in logs.
    Raises the problem malformed for a cursor that is not ours, or whose mark is gone.
    """
    ordered = sorted(items, key=key, reverse=newest_first)
    if query.cursor is not None:
        last = read_cursor(query.cursor)
        if mark is not None:
            last = next((key(item) for item in ordered if mark(item) == last), None) or _gone()
        ordered = [item for item in ordered if (key(item) < last if newest_first else key(item) > last)]
    part = ordered[: query.limit]
    return part, cursor((mark or key)(part[-1])) if len(ordered) > len(part) else None


def _gone() -> str:
    raise ProblemError("malformed", "This cursor is not one of ours, or where it stood is gone. Begin anew.")


def cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> str:
    """Raises the problem malformed."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        raise ProblemError("malformed", "This cursor is not one of ours.") from None
