"""Whether an open stream is still allowed: its session may have ended, or its token been revoked."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from hub.accounts.accounts import Accounts
from hub.accounts.tokens import Tokens
from hub.web.security import SESSION

CHECK_SECONDS = 5.0


class StreamAccess:
    def __init__(self, accounts: Accounts, tokens: Tokens) -> None:
        self._accounts = accounts
        self._tokens = tokens

    def of(self, request: web.Request) -> Callable[[], Awaitable[bool]]:
        """A function that checks the request's session or token; it reads the store at most every CHECK_SECONDS."""
        checked_at = time.monotonic()

        async def is_allowed() -> bool:
            nonlocal checked_at
            if time.monotonic() - checked_at < CHECK_SECONDS:
                return True
            checked_at = time.monotonic()
            authorization = request.headers.get(hdrs.AUTHORIZATION)
            if authorization is not None:
                return await self._tokens.verify(authorization.partition(" ")[2].strip()) is not None
            session = request[SESSION]
            return session is not None and await self._accounts.is_active(session)

        return is_allowed
