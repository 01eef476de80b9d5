"""The page Accounts: local accounts, and active sessions."""

from aiohttp import web

from hub.accounts.accounts import Accounts, LastAccountError, UnknownAccountError
from hub.accounts.tokens import Tokens
from hub.language.translation import N_
from hub.web.forms import Form
from hub.web.pages import Pages, see
from hub.web.security import session_of

ROLES = {"front_line": N_("Front desk"), "caretaker": N_("Caretaker"), "it": N_("IT")}
SHUT = Form(must=("shut",), choices={"shut": ("yes", "no")})


class AccountPages:
    def __init__(self, pages: Pages, accounts: Accounts, tokens: Tokens) -> None:
        self._pages = pages
        self._accounts = accounts
        self._tokens = tokens
        pages.page("/logins", {"it"}, self.show)
        pages.action("/logins/{account}/shut", {"it"}, self.shut, SHUT, asks_again=True)
        pages.action("/logins/{account}/remove", {"it"}, self.remove, asks_again=True)
        pages.action("/logins/{account}/end", {"it"}, self.end)

    async def show(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request)

    async def shut(self, request: web.Request) -> web.StreamResponse:
        """Disable or enable an account."""
        is_shut = (await request.post()).get("shut") == "yes"
        try:
            await self._accounts.shut(_name(request), session_of(request).account, is_shut=is_shut)
        except UnknownAccountError:
            raise web.HTTPNotFound(text="There is no such account.") from None
        except LastAccountError:
            return await self._page(request, status=409, is_last=True)
        return see("/logins")

    async def remove(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._accounts.remove(_name(request), session_of(request).account)
        except UnknownAccountError:
            raise web.HTTPNotFound(text="There is no such account.") from None
        except LastAccountError:
            return await self._page(request, status=409, is_last=True)
        return see("/logins")

    async def end(self, request: web.Request) -> web.StreamResponse:
        """End all sessions of a person, also of the directory."""
        await self._accounts.end_all(_name(request), session_of(request).account)
        return see("/logins")

    async def _page(self, request: web.Request, *, status: int = 200, is_last: bool = False) -> web.Response:
        text = self._pages.words(self._pages.language(request))
        tokens: dict[str, list[str]] = {}
        for one in await self._tokens.all():
            tokens.setdefault(one.made_by, []).append(one.name)
        return await self._pages.render(
            request,
            "accounts.html",
            status=status,
            accounts=await self._accounts.all(),
            logins=await self._accounts.logged_in(),
            is_last=is_last,
            tokens=tokens,
            role_names=lambda roles: ", ".join(text(ROLES.get(one, one)) for one in roles),
        )


def _name(request: web.Request) -> str:
    return request.match_info["account"]
