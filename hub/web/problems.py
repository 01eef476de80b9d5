"""What can go wrong with a request, as problem documents (RFC 9457) whose `type`s do not change within `/api/v1`."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

TYPES = "/api/problems/"
"""A problem's `type` is this and its name; a browser that follows it finds its meaning."""


@dataclass(frozen=True)
class Kind:
    """One type of problem."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        return TYPES + self.name


_ALL = (
    Kind("malformed", 400, "Malformed request", "The request cannot be read: no JSON, a bad header, a bad cursor."),
    Kind(
        "fields", 400, "Fields", "A field of the body is missing or unknown, and nothing was done; `errors` names each."
    ),
    Kind("unauthenticated", 401, "Who are you?", "Neither a session nor a living token came with the request."),
    Kind("forbidden", 403, "Not yours", "The session's roles, or the token's scopes, do not reach this operation."),
    Kind("password-again", 403, "Password again", "The session's password was given more than 15 minutes ago."),
    Kind("cross-site", 403, "From another site", "A browser sent this in the name of another site's page."),
    Kind("not-found", 404, "Not found", "There is no such thing."),
    Kind("method-not-allowed", 405, "Method not allowed", "This path has other methods; `Allow` names them."),
    Kind("conflict", 409, "Conflict", "The thing is not in a state in which this can be done."),
    Kind("in-progress", 409, "In progress", "A request with this Idempotency-Key is being worked on. Ask again."),
    Kind(
        "outcome-unknown",
        409,
        "Outcome unknown",
        "A request with this Idempotency-Key broke off: it may have been done. Look, then use a new key.",
    ),
    Kind("stale", 412, "Changed meanwhile", "`If-Match` is not the present ETag. Get the thing again."),
    Kind("too-large", 413, "Too large", "The body is larger than 1 MiB."),
    Kind("media-type", 415, "Unsupported media type", "A body is `application/json`."),
    Kind("invalid", 422, "Invalid", "A field or parameter is wrong; `errors` names each."),
    Kind("key-reused", 422, "Key used before", "This Idempotency-Key came with another request within a day."),
    Kind("precondition-required", 428, "If-Match required", "Get the thing and send its ETag in `If-Match`."),
    Kind("too-many-requests", 429, "Too many requests", "Wait as long as `Retry-After` says."),
    Kind("internal", 500, "Internal error", "Something went wrong in the hub. The log has the details."),
    Kind("unavailable", 503, "Out of order", "The plugin behind this is in quarantine, or took too long."),
)
KINDS = {kind.name: kind for kind in _ALL}
BY_STATUS = {kind.status: kind for kind in reversed(_ALL)}


class FieldError(BaseModel):
    """One field that is wrong."""

    at: str = Field(description="`body`, `query` or `path`, and the field's way in it as a JSON pointer")
    detail: str


class ProblemDocument(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="stable; `about:blank` where the status says all")
    title: str
    status: int
    detail: str = Field(description="what is wrong this time, for a developer")
    instance: str = Field(description="the request's id, which stands in the hub's log")
    errors: list[FieldError] = Field(default_factory=list)


class ProblemError(Exception):
    """Raise it in an operation: the caller gets the problem document."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = KINDS[name]
        self.detail = detail
        self.errors = errors or []
        self.headers = dict(headers or {})


def problem_answer(
    status: int,
    instance: str,
    detail: str,
    *,
    kind: Kind | None = None,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """`kind` is found by the status where none is given."""
    kind = kind or BY_STATUS.get(status)
    document = ProblemDocument(
        type=kind.type if kind else "about:blank",
        title=kind.title if kind else web.Response(status=status).reason or str(status),
        status=status,
        detail=detail,
        instance=instance,
        errors=errors or [],
    )
    return web.Response(
        status=status,
        text=document.model_dump_json(exclude_defaults=True),
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
