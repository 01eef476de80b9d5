"""How often a password may be tried: by address, by name from one address, and by known browser.

Nobody who tries a name from elsewhere keeps its owner out: a browser in which the owner has logged in before has a
signed cookie that says so, and limits of its own. The owner is told how often others have tried.
"""

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aiohttp import web
from itsdangerous import BadSignature, URLSafeTimedSerializer

from hub.hooks.limits import Limiter
from hub.store.store import now

TRIES, SECONDS = 10, 60.0
FROM_ONE_ADDRESS = 30
OF_STRANGERS = 300
"""From all addresses together: each try takes 20 MiB and 40 ms."""
COOKIE = "kommunevert_browser"
KNOWN_FOR_SECONDS = 180 * 86_400
WORTH_TELLING = 3
"""A person mistypes once or twice."""
MOST_NAMES = 1_000


@dataclass(frozen=True)
class WrongTries:
    """By others than browsers that the owner uses."""

    count: int
    last_at: datetime


class LoginLimits:
    def __init__(self, key_file: Path, *, is_secure: bool) -> None:
        self._signed = URLSafeTimedSerializer(_key(key_file), salt="kommunevert browser")
        self._is_secure = is_secure
        self._by_browser = Limiter(TRIES, SECONDS)
        self._by_name = Limiter(TRIES, SECONDS)
        self._by_address = Limiter(FROM_ONE_ADDRESS, SECONDS)
        self._strangers = Limiter(OF_STRANGERS, SECONDS)
        self._wrong: dict[str, WrongTries] = {}
        self._to_tell: dict[str, WrongTries] = {}

    def wait_seconds(self, request: web.Request, name: str) -> float:
        """0: it may be tried now."""
        browser = self._browser(request, name)
        if browser is not None:
            return self._by_browser.wait_seconds(browser)
        address = request.remote or "?"
        return (
            self._by_address.wait_seconds(address)
            or self._by_name.wait_seconds(f"{address} {_key_of(name)}")
            or self._strangers.wait_seconds("all")
        )

    def failed(self, request: web.Request, name: str) -> None:
        """It was the wrong password."""
        if self._browser(request, name) is not None:
            return
        known = self._wrong.pop(_key_of(name), None)
        self._wrong[_key_of(name)] = WrongTries(known.count + 1 if known else 1, now())
        if len(self._wrong) > MOST_NAMES:
            del self._wrong[min(self._wrong, key=lambda one: self._wrong[one].count)]

    def succeeded(self, request: web.Request, answer: web.StreamResponse, name: str) -> None:
        """The browser is known from now on, and the owner is told of what others tried."""
        wrong = self._wrong.pop(_key_of(name), None)
        if wrong is not None and wrong.count >= WORTH_TELLING:
            self._to_tell[name] = wrong
        browser = self._browser(request, name) or secrets.token_hex(16)
        answer.set_cookie(
            COOKIE,
            str(self._signed.dumps([_key_of(name), browser])),
            max_age=KNOWN_FOR_SECONDS,
            httponly=True,
            secure=self._is_secure,
            samesite="Lax",
            path="/",
        )

    def to_tell(self, account: str) -> WrongTries | None:
        """What this owner has not said to have seen."""
        return self._to_tell.get(account)

    def seen(self, account: str) -> None:
        self._to_tell.pop(account, None)

    def _browser(self, request: web.Request, name: str) -> str | None:
        """Its number, where this name has logged in by it."""
        try:
            found = self._signed.loads(request.cookies.get(COOKIE, ""), max_age=KNOWN_FOR_SECONDS)
        except BadSignature:
            return None
        match found:
            case [str(whose), str(browser)] if whose == _key_of(name):
                return browser
        return None


def _key_of(name: str) -> str:
    return name.strip().casefold()[:200]


def _key(path: Path) -> str:
    """Made at the first start and kept, so that browsers are known after a restart."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text()
