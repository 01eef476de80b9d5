"""Asks for the password again before sensitive actions, so that an unattended computer cannot be misused."""

from collections.abc import Callable

from aiohttp import web

from hub.accounts.accounts import Accounts
from hub.hooks.limits import Limiter
from hub.web.forms import PASSWORD_AGAIN
from hub.web.pages import Pages, Serve
from hub.web.security import session_of

TRIES = 10
TRIES_SECONDS = 60.0


def password_required(pages: Pages, accounts: Accounts) -> Callable[[Serve], Serve]:
    """A wrapper for a form's POST. The password page carries the form's fields and submits them with the password."""
    limiter = Limiter(TRIES, TRIES_SECONDS)

    def wrapped(serve: Serve) -> Serve:
        async def guarded(request: web.Request) -> web.StreamResponse:
            session = session_of(request)
            if session.is_confirmed:
                return await serve(request)
            form = await request.post()
            password, problem, status = str(form.get(PASSWORD_AGAIN, "")), None, 200
            if PASSWORD_AGAIN in form:
                if limiter.wait_seconds(session.account):
                    problem, status = "slow", 429
                elif await accounts.confirm(session, password):
                    return await serve(request)
                else:
                    problem, status = "wrong", 403
            fields = [
                (name, value) for name, value in form.items() if name != PASSWORD_AGAIN and isinstance(value, str)
            ]
            return await pages.render(
                request, "again.html", status=status, fields=fields, problem=problem, field=PASSWORD_AGAIN
            )

        return guarded

    return wrapped
