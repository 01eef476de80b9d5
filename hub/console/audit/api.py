"""The audit log: its entries, newest first, and whether its chain is whole."""

from datetime import datetime
from typing import Any

from pydantic import Field

from hub.api.operations import Call, Document, Nothing, Page, PageQuery, cursor, operation, read_cursor
from hub.store import audit
from hub.store.store import Store
from hub.web.problems import ProblemError


class AuditEntry(Document):
    id: int
    happened_at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any] | None = Field(description="null: erased, because its time was over")


class AuditPage(Page[AuditEntry]):
    """The newest first."""


class Verification(Document):
    """Whether anybody has changed, removed or added an entry behind the hub's back."""

    is_whole: bool
    entries: int
    first_broken: int | None = Field(description="the first entry that does not fit into the chain")


class AuditApi:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation(
        "GET", "/audit", summary="The audit log, newest first", scope="audit:read", roles={"it"}, is_personal=True
    )
    async def entries(self, call: Call[Nothing, PageQuery, Nothing]) -> AuditPage:
        before, limit = _before(call.query.cursor), call.query.limit
        entries = await self._store.read(lambda connection: audit.newest(connection, limit + 1, before))
        following = cursor(str(entries[limit - 1].id)) if len(entries) > limit else None
        return AuditPage(items=[AuditEntry.model_validate(one) for one in entries[:limit]], next=following)

    @operation(
        "GET", "/audit/verification", summary="Follow the chain from its first entry", scope="audit:read", roles={"it"}
    )
    async def verification(self, _call: Call[Nothing, Nothing, Nothing]) -> Verification:
        broken = await self._store.read(audit.first_broken)
        return Verification(is_whole=broken is None, entries=await self._store.read(audit.length), first_broken=broken)


def _before(text: str | None) -> int | None:
    if text is None:
        return None
    number = read_cursor(text)
    if not number.isascii() or not number.isdecimal() or len(number) > 15:  # noqa: PLR2004
        raise ProblemError("malformed", "This cursor is not one of ours.")
    return int(number)
