"""The hub's own keys, for programs of IT: which one doors obey, and changing it."""

from datetime import datetime
from typing import Any

from pydantic import Field

from hub.plugin.api import Call, Document, Nothing, Page, PageQuery, ProblemError, Query, found, operation, page_of
from plugins.locks.models import HubKey, HubKeyError
from plugins.locks.trust.hub_keys import HubKeys
from plugins.locks.trust.signing import SigningError


class KeyPath(Query):
    key: str = Field(pattern="^hub-[0-9]{1,6}$")


class KeyDocument(Document):
    """A key by its public half."""

    id: str
    verify_key: str = Field(description="hexadecimal; empty: it is intended, and not made yet")
    made_at: datetime
    retired_at: datetime | None = Field(description="since then it signs no more; null: it signs, or will")
    unaware: list[str] = Field(description="doors that have not said that they believe it, while it is the coming one")


class KeyPage(Page[KeyDocument]):
    """Keys that doors believe or shall believe, by number."""


CHANGE: dict[str, Any] = {"scope": "hub-keys:write", "roles": {"it"}, "asks_again": True}


class HubKeyApi:
    def __init__(self, hub_keys: HubKeys) -> None:
        self._hub_keys = hub_keys

    @operation("GET", "/hub-keys", summary="The keys that doors obey", scope="hub-keys:read", roles={"it"})
    async def keys(self, call: Call[Nothing, PageQuery, Nothing]) -> KeyPage:
        part, following = page_of(self._hub_keys.keys, lambda key: f"{key.number:010}", call.query)
        return KeyPage(items=[self._document(key) for key in part], next=following)

    @operation(
        "POST",
        "/hub-keys",
        summary="Make a new key, and let it take over when all doors know it",
        status=201,
        location="/hub-keys",
        problems=("conflict", "unavailable"),
        **CHANGE,
    )
    async def begin(self, call: Call[Nothing, Nothing, Nothing]) -> KeyDocument:
        try:
            made = await self._hub_keys.begin(call.caller.name)
        except HubKeyError as error:
            raise ProblemError("conflict", f"{error}.") from None
        except SigningError as error:
            raise ProblemError("unavailable", f"{error}.") from None
        return self._document(next(key for key in self._hub_keys.keys if key.id == made))

    @operation(
        "POST",
        "/hub-keys/{key}/end",
        summary="A key that somebody may have copied: nobody believes it any more",
        problems=("conflict",),
        **CHANGE,
    )
    async def end(self, call: Call[KeyPath, Nothing, Nothing]) -> None:
        found(next((key for key in self._hub_keys.keys if key.id == call.path.key), None), "such key")
        try:
            await self._hub_keys.end_now(call.path.key, call.caller.name)
        except HubKeyError as error:
            raise ProblemError("conflict", f"{error}.") from None

    def _document(self, key: HubKey) -> KeyDocument:
        is_coming = key == self._hub_keys.coming
        return KeyDocument(
            id=key.id,
            verify_key=key.verify_key,
            made_at=key.made_at,
            retired_at=key.retired_at,
            unaware=self._hub_keys.unaware() if is_coming else [],
        )
