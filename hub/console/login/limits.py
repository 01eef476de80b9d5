"""Rate limits for logins: by address, by name from one address, and by known browser.

Failed attempts by others do not lock a user out: a browser in which the user has logged in before has a signed cookie,
and limits of its own. The user is told how often others have tried.
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
PER_ADDRESS = 30
OF_UNKNOWN_BROWSERS = 300
"""From all addresses together, since each attempt takes 20 MiB and 40 ms."""
COOKIE = "kommunevert_browser"
KNOWN_FOR_SECONDS = 180 * 86_400
MIN_TRIES_FOR_WARNING = 3
"""Fewer may be the user's own mistakes."""
MAX_NAMES = 1_000


@dataclass(frozen=True)
class WrongTries:
    """Failed logins from browsers that the user has not used before."""

    count: int
    last_at: datetime


class LoginLimits:
    def __init__(self, key_file: Path, *, is_secure: bool) -> None:
        self._signed = URLSafeTimedSerializer(_key(key_file), salt="kommunevert browser")
        self._is_secure = is_secure
        self._by_browser = Limiter(TRIES, SECONDS)
        self._by_name = Limiter(TRIES, SECONDS)
        self._by_address = Limiter(PER_ADDRESS, SECONDS)
        self._unknown_browsers = Limiter(OF_UNKNOWN_BROWSERS, SECONDS)
        self._wrong: dict[str, WrongTries] = {}
        self._warnings: dict[str, WrongTries] = {}

    def wait_seconds(self, request: web.Request, name: str) -> float:
        """Seconds to wait before the next attempt; 0 if it may be made now."""
        browser = self._browser(request, name)
        if browser is not None:
            return self._by_browser.wait_seconds(browser)
        address = request.remote or "?"
        return (
            self._by_address.wait_seconds(address)
            or self._by_name.wait_seconds(f"{address} {_key_of(name)}")
            or self._unknown_browsers.wait_seconds("all")
        )

    def failed(self, request: web.Request, name: str) -> None:
        """Count a failed login."""
        if self._browser(request, name) is not None:
            return
        known = self._wrong.pop(_key_of(name), None)
        self._wrong[_key_of(name)] = WrongTries(known.count + 1 if known else 1, now())
        if len(self._wrong) > MAX_NAMES:
            del self._wrong[min(self._wrong, key=lambda one: self._wrong[one].count)]

    def succeeded(self, request: web.Request, answer: web.StreamResponse, name: str) -> None:
        """Mark the browser as known, and prepare a warning about failed attempts by others."""
        wrong = self._wrong.pop(_key_of(name), None)
        if wrong is not None and wrong.count >= MIN_TRIES_FOR_WARNING:
            self._warnings[name] = wrong
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

    def pending_warning(self, account: str) -> WrongTries | None:
        """The failed attempts that the user has not dismissed; None if there are none."""
        return self._warnings.get(account)

    def dismiss(self, account: str) -> None:
        self._warnings.pop(account, None)

    def _browser(self, request: web.Request, name: str) -> str | None:
        """The browser's id, if this name has logged in with it; else None."""
        try:
            content = self._signed.loads(request.cookies.get(COOKIE, ""), max_age=KNOWN_FOR_SECONDS)
        except BadSignature:
            return None
        match content:
            case [str(key), str(browser)] if key == _key_of(name):
                return browser
        return None


def _key_of(name: str) -> str:
    return name.strip().casefold()[:200]


def _key(path: Path) -> str:
    """The signing key, created at the first start, so that browsers stay known after a restart."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text()
