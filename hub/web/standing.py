"""Whether whoever opened a stream still may listen: a session may have ended since, a token been revoked."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from hub.accounts.accounts import Accounts
from hub.accounts.tokens import Tokens
from hub.web.security import SESSION

EVERY_SECONDS = 5.0


class Standing:
    def __init__(self, accounts: Accounts, tokens: Tokens) -> None:
        self._accounts = accounts
        self._tokens = tokens

    def of(self, request: web.Request) -> Callable[[], Awaitable[bool]]:
        """Ask it as often as you like: the store is asked at most every few seconds."""
        asked_at = time.monotonic()

        async def stands() -> bool:
            nonlocal asked_at
            if time.monotonic() - asked_at < EVERY_SECONDS:
                return True
            asked_at = time.monotonic()
            authorization = request.headers.get(hdrs.AUTHORIZATION)
            if authorization is not None:
                return await self._tokens.living(authorization.partition(" ")[2].strip()) is not None
            session = request[SESSION]
            return session is not None and await self._accounts.stands(session)

        return stands
