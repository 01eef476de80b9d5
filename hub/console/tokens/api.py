"""Who is asking, and the tokens of programs."""

from collections.abc import Callable
from datetime import datetime

from pydantic import Field

from devices.contract.payload import Id, Name
from hub.accounts.tokens import Token, Tokens
from hub.api.operations import (
    Call,
    Document,
    Moment,
    Nothing,
    Operation,
    Page,
    PageQuery,
    Query,
    Request,
    found,
    operation,
    page_of,
)
from hub.api.scopes import may_give
from hub.store.store import now
from hub.web.problems import FieldError, ProblemError


class TokenPath(Query):
    token: Id


class TokenDocument(Document):
    """A token, without its secret."""

    id: Id
    name: str
    scopes: list[str]
    made_by: str
    made_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute; null: never")


class TokenPage(Page[TokenDocument]):
    """Tokens that are not revoked, the newest first."""


class NewToken(Request):
    name: Name = Field(description="what uses it; stands in the audit log as `token:<name>`")
    scopes: list[str] = Field(min_length=1, max_length=50)
    expires_at: Moment | None = Field(default=None, description="null: never")


class MadeToken(TokenDocument):
    """A token and its secret, which comes this once."""

    secret: str


class CallerDocument(Document):
    """Who is asking."""

    name: str
    roles: list[str] = Field(description="of a session; none of a token")
    scopes: list[str] = Field(description="what a token reaches, or what the session's roles reach")


class TokenApi:
    def __init__(self, tokens: Tokens, operations: Callable[[], list[Operation]]) -> None:
        self._tokens = tokens
        self._operations = operations

    @operation("GET", "/session", summary="Who is asking", scope=None, roles=set())
    async def session(self, call: Call[Nothing, Nothing, Nothing]) -> CallerDocument:
        scopes = may_give(call.caller, self._operations())
        return CallerDocument(name=call.caller.name, roles=sorted(call.caller.roles), scopes=sorted(scopes))

    @operation("GET", "/tokens", summary="Tokens", scope="tokens:read", roles={"it"})
    async def tokens(self, call: Call[Nothing, PageQuery, Nothing]) -> TokenPage:
        part, following = page_of(
            await self._tokens.all(),
            lambda one: f"{one.made_at.isoformat()} {one.id}",
            call.query,
            newest_first=True,
        )
        return TokenPage(items=[TokenDocument.model_validate(one) for one in part], next=following)

    @operation("GET", "/tokens/{token}", summary="One token", scope="tokens:read", roles={"it"})
    async def token(self, call: Call[TokenPath, Nothing, Nothing]) -> TokenDocument:
        return TokenDocument.model_validate(await self._found(call.path))

    @operation(
        "POST",
        "/tokens",
        summary="Make a token with scopes that the caller reaches",
        scope="tokens:write",
        roles={"it"},
        status=201,
        location="/tokens/{id}",
    )
    async def make(self, call: Call[Nothing, Nothing, NewToken]) -> MadeToken:
        wanted = call.body
        beyond = set(wanted.scopes) - may_give(call.caller, self._operations())
        if beyond:
            errors = [FieldError(at="body/scopes", detail=f"{one}: not yours to give") for one in sorted(beyond)]
            raise ProblemError("invalid", "A token gets no more than its maker has.", errors=errors)
        if wanted.expires_at is not None and wanted.expires_at <= now():
            errors = [FieldError(at="body/expires_at", detail="is past")]
            raise ProblemError("invalid", "Look at `errors`.", errors=errors)
        try:
            token, secret = await self._tokens.make(
                wanted.name, frozenset(wanted.scopes), call.caller.name, wanted.expires_at, call.caller.token
            )
        except LookupError:
            raise ProblemError("forbidden", "The token that makes it has ended.") from None
        return MadeToken(**TokenDocument.model_validate(token).model_dump(), secret=secret)

    @operation("DELETE", "/tokens/{token}", summary="Revoke a token, at once", scope="tokens:write", roles={"it"})
    async def revoke(self, call: Call[TokenPath, Nothing, Nothing]) -> None:
        await self._tokens.revoke((await self._found(call.path)).id, call.caller.name)

    async def _found(self, path: TokenPath) -> Token:
        return found(await self._tokens.get(path.token), "such token")
