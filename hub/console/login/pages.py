"""Login, logout and the page's language."""

import re

from aiohttp import web

from hub.accounts.accounts import Accounts
from hub.console.login.limits import LoginLimits
from hub.web.forms import Form
from hub.web.pages import LANGUAGE_COOKIE, Pages, see
from hub.web.security import SESSION, cookie_name, session_of

LOCAL_PATH = re.compile(r"/(?!/)[^\x00-\x20\\]*")

LOGIN = Form(must=("name", "password"), may=("to", "language"))
LANGUAGE = Form(must=("language",), may=("to", "name", "password"))
"""Both forms are on the same page; the language only sets a cookie."""


def login_pages(pages: Pages, accounts: Accounts, limits: LoginLimits, *, is_secure: bool) -> None:
    cookie = cookie_name(is_secure=is_secure)
    _first_pages(pages)

    async def form(request: web.Request) -> web.StreamResponse:
        return await pages.render(
            request, "login.html", problem=None, name="", to=_local_path(request.query.get("to", "/"))
        )

    async def login(request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        name, password = str(sent.get("name", "")).strip(), str(sent.get("password", ""))
        to = _local_path(str(sent.get("to", "/")))
        if limits.wait_seconds(request, name):
            return await pages.render(request, "login.html", status=429, problem="slow", name=name, to=to)
        login_result = await accounts.check(name, password)
        if login_result is None:
            limits.failed(request, name)
            return await pages.render(request, "login.html", status=403, problem="wrong", name=name, to=to)
        answer = see(to)
        limits.succeeded(request, answer, login_result.name)
        answer.set_cookie(
            cookie, await accounts.begin(login_result), httponly=True, secure=is_secure, samesite="Lax", path="/"
        )
        return answer

    async def dismiss(request: web.Request) -> web.StreamResponse:
        limits.dismiss(session_of(request).account)
        return see("/")

    async def logout(request: web.Request) -> web.StreamResponse:
        if token := request.cookies.get(cookie):
            await accounts.end(token)
        answer = see("/login")
        answer.del_cookie(cookie, path="/", secure=is_secure)
        return answer

    pages.public("GET", "/login", form)
    pages.public("POST", "/login", login, LOGIN)
    pages.public("POST", "/logout", logout)
    pages.action("/login/seen", frozenset(), dismiss)


def _first_pages(pages: Pages) -> None:
    """The routes that need no login."""

    async def language(request: web.Request) -> web.StreamResponse:
        sent = await request.post()
        answer = see(_local_path(str(sent.get("to", "/"))))
        answer.set_cookie(LANGUAGE_COOKIE, str(sent.get("language", "")), samesite="Lax", max_age=31_536_000)
        return answer

    async def first(request: web.Request) -> web.StreamResponse:
        if request[SESSION] is None:
            return see("/login")
        menu = await pages.menu(request)
        return see(menu[0][0].path if menu else "/login")

    pages.public("POST", "/language", language, LANGUAGE)
    pages.public("GET", "/", first)


def _local_path(path: str) -> str:
    """The path if it is on this site, else "/": not `//evil.example`, nor what a browser would normalise to that."""
    return path if LOCAL_PATH.fullmatch(path) else "/"
