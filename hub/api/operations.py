"""Declarations of the HTTP API's operations, from which routes and OpenAPI are made."""

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
MAX_PAGE_SIZE = 200
FIRST_YEAR, LAST_YEAR = 1970, 2200
PASSWORD_AGAIN = "Do it in the console, which asks for the password again, or use a token."  # noqa: S105 (a sentence)
KEY_PATTERN = "^[!-~]{1,255}$"
"""The pattern of an Idempotency-Key."""
IF_MATCH_PATTERN = r'^(\*|"[!#-~]+"(, ?"[!#-~]+")*)$'
"""Strong ETags (RFC 9110 § 13.1.1); a weak one never matches."""


class Request(BaseModel):
    """Base of request bodies: unknown fields are refused, and types are strict (`"1"` is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Query(BaseModel):
    """Base of query parameters: texts, which are converted to the fields' types."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Document(BaseModel):
    """Base of answers. Within a version of the API, fields may be added but not removed."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


_DATE_AND_TIME = TypeAdapter(datetime)


def _with_time(value: object) -> object:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and "T" in value.upper():
            return _DATE_AND_TIME.validate_strings(value)
    except ValidationError:
        pass
    raise ValueError("is no date and time, such as 2026-11-24T09:15:00Z")


def _in_supported_years(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_with_time), AfterValidator(_in_supported_years)]
"""A date and time with a zone (RFC 3339), in a range that every zone and database supports.

pydantic alone would also accept a number, and the year 1, which overflows in other zones.
"""


def whole(value: object) -> object:
    """3.0 as 3, everything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
"""An integer in a body; 3.0 is accepted too.

For one that may be null, put its limits before `whole` in an Annotated of its own, or the schema lacks them.
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
    limit: int = Field(default=50, ge=1, le=MAX_PAGE_SIZE)


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
    """The caller: a session with its roles, or a token with its scopes."""

    id: str
    """Unique: rate limits and Idempotency-Keys are counted by it."""
    name: str
    """The name in the audit log."""
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[str] | None = None
    """None for a session, which is limited by its roles only."""
    is_confirmed: bool = True
    """A token, or a session whose password was entered recently."""
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
    """A validated request."""

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
"""The attribute of a handler with the function that makes its Operation, given an owner and the object."""


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
    handler: Callable[[Call[Any, Any, Any]], Awaitable[Any]]
    parameters: type[BaseModel] = Nothing
    query: type[BaseModel] = Nothing
    body: type[BaseModel] = Nothing
    status: int = 200
    location: str | None = None
    """The path of the created resource, with placeholders for the answer's fields."""
    problems: tuple[str, ...] = ()
    """Problems that this operation raises besides those of all operations."""
    is_personal: bool = False
    asks_again: bool = False
    """A session needs a recently entered password."""
    all_roles: bool = False
    """A session needs all of `roles`, not just one."""
    stream: Stream | None = None

    @property
    def has_etag(self) -> bool:
        """A GET of a single resource, not of a list or a stream."""
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
    """Declare a method as the operation `method` on `path`, for `Api.offer`. `roles` may be a function of the object.

    The method's annotations define its models: `(self, call: Call[Path, Query, Body]) -> Document`, or None for no
    answer. Raises TypeError if they do not.

    A PUT replaces a resource, so all fields of its body are required, whatever the model says.

    GET: a single resource, with an ETag, or a Page. PUT, PATCH, DELETE: need the ETag of a GET on the same path
    (If-Match). POST: the same Idempotency-Key twice executes it once.
    """

    def declare(handler: Handler) -> Handler:
        parameters, query, body, answer = _types(handler)
        complete_body = _all_required(body) if method == "PUT" else body
        known = (*(("not-found",) if parameters is not Nothing else ()), *(("password-again",) if asks_again else ()))

        def make_operation(owner: str, source: object) -> Operation:
            return Operation(
                owner=owner,
                method=method,
                path=path,
                summary=summary,
                scope=scope,
                roles=frozenset(roles(source) if callable(roles) else roles),
                answer=answer,
                handler=partial(handler, source),
                parameters=parameters,
                query=query,
                body=complete_body,
                status=status if answer is not None else 204,
                location=location,
                problems=tuple(dict.fromkeys((*known, *problems))),
                is_personal=is_personal,
                asks_again=asks_again,
                all_roles=all_roles,
            )

        setattr(handler, OFFERED, make_operation)
        return handler

    return declare


def stream(
    path: str, *, summary: str, scope: str, roles: AbstractSet[Role]
) -> Callable[[StreamHandler], StreamHandler]:
    """Declare a method `(self, request, call)` as an operation that streams server-sent events."""

    def declare(handler: StreamHandler) -> StreamHandler:
        _, query, _, _ = _types(handler)

        def make_operation(owner: str, source: object) -> Operation:
            serve = partial(handler, source)
            return Operation(
                owner, "GET", path, summary, scope, frozenset(roles), None, _no_answer, query=query, stream=serve
            )

        setattr(handler, OFFERED, make_operation)
        return handler

    return declare


@dataclass
class Api:
    """One owner's operations."""

    owner: str
    operations: list[Operation] = field(default_factory=list)

    def offer(self, *objects: object) -> None:
        """Offer all operations of these objects, in the order in which their classes define them."""
        for source in objects:
            make_operation = (getattr(member, OFFERED, None) for member in vars(type(source)).values())
            self.operations += [make(self.owner, source) for make in make_operation if make is not None]


def _types(handler: Callable[..., Any]) -> tuple[type[BaseModel], type[BaseModel], type[BaseModel], Any]:
    """The models of path, query, body and answer."""
    call, answer = [None, None, *get_type_hints(handler).values()][-2:]
    if get_origin(call) is not Call:
        raise TypeError(f"{handler.__qualname__} does not say `call: Call[Path, Query, Body]`, and what it answers")
    parameters, query, body = get_args(call)
    return parameters, query, body, None if answer is NoneType else answer


def _all_required(body: type[B]) -> type[B]:
    """The model with all fields required; itself if they are."""
    optional = {name: copy(info) for name, info in body.model_fields.items() if not info.is_required()}
    if not optional:
        return body
    for info in optional.values():
        info.default, info.default_factory = PydanticUndefined, None
    fields: Any = {name: (info.annotation, info) for name, info in optional.items()}
    return create_model(f"Whole{body.__name__}", __base__=body, __doc__=body.__doc__, **fields)


async def _no_answer(_call: Call[Any, Any, Any]) -> None:
    """The handler of a stream, which writes its own response."""


def found(thing: T | None, what: str) -> T:
    """The thing, unless it is None. Raises the problem not-found: `There is no <what>.`"""
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
    """A page of a list in memory, sorted by `key` (unique), and the cursor of the next page.

    A cursor contains the key of the page's last item, so that additions and removals do not shift pages. If the key is
    personal, the cursor contains `mark` (an id) instead, since addresses end up in logs.
    Raises the problem malformed for an invalid cursor, or one whose item is gone.
    """
    ordered = sorted(items, key=key, reverse=newest_first)
    if query.cursor is not None:
        last = read_cursor(query.cursor)
        if mark is not None:
            last = next((key(item) for item in ordered if mark(item) == last), None) or _refuse_cursor()
        ordered = [item for item in ordered if (key(item) < last if newest_first else key(item) > last)]
    part = ordered[: query.limit]
    return part, cursor((mark or key)(part[-1])) if len(ordered) > len(part) else None


def _refuse_cursor() -> str:
    raise ProblemError("malformed", "This cursor is not one of ours, or where it stood is gone. Begin anew.")


def cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> str:
    """Raises the problem malformed."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        raise ProblemError("malformed", "This cursor is not one of ours.") from None
