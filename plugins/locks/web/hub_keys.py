"""The page of the hub's signing keys and their rotation, for IT."""

from typing import Any

from aiohttp import web

from hub.plugin import Context
from hub.plugin.web import see, session_of
from plugins.locks.models import HubKey, HubKeyError
from plugins.locks.trust.hub_keys import HubKeys
from plugins.locks.trust.signing import SigningError

CHANGE = frozenset[Any]({"it"})


class HubKeyPages:
    def __init__(self, context: Context, hub_keys: HubKeys) -> None:
        self._context = context
        self._hub_keys = hub_keys
        pages = context.pages
        pages.page("/hub-keys", CHANGE, self.hub_keys)
        pages.action("/hub-keys", CHANGE, self.begin, asks_again=True)
        pages.action("/hub-keys/{key}/end", CHANGE, self.end, asks_again=True)

    async def hub_keys(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request)

    async def begin(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._hub_keys.begin(session_of(request).account)
        except HubKeyError:
            return await self._page(request, problem="coming", status=409)
        except SigningError as error:
            return await self._page(request, problem="later", what=str(error), status=503)
        return see("/hub-keys")

    async def end(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._hub_keys.end_now(request.match_info["key"], session_of(request).account)
        except HubKeyError:
            return await self._page(request, problem="newest", status=409)
        return see("/hub-keys")

    async def _page(
        self, request: web.Request, *, problem: str | None = None, what: str = "", status: int = 200
    ) -> web.StreamResponse:
        keys = self._hub_keys
        return await self._context.pages.render(
            request,
            "hub_keys.html",
            status=status,
            problem=problem,
            what=what,
            keys=keys.keys,
            coming=keys.coming,
            does=self._does,
            passes_of=keys.passes_of,
            unaware=[(door_id, self._name(door_id)) for door_id in keys.unaware()] if keys.coming else [],
            orphaned=[self._name(door_id) for door_id in keys.orphaned_doors()],
        )

    def _does(self, key: HubKey) -> str:
        """The key's role now: "signs", "comes" (new) or "stays" (only for passes that it signed)."""
        if key.retired_at is not None:
            return "stays"
        return "comes" if key == self._hub_keys.coming else "signs"

    def _name(self, door_id: str) -> str:
        device = self._context.devices.get(door_id)
        return device.name if device else door_id
