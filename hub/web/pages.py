"""How the kernel and plugins serve pages: templates, roles, translations, menu."""

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from aiohttp import web
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from hub.configuration.settings import SiteSettings
from hub.hooks.asking import Hooks
from hub.hooks.specifications import MenuEntry, Role, pages
from hub.language.translation import N_, Translator
from hub.store.live import Live
from hub.web.assets import Assets
from hub.web.forms import Form, with_form
from hub.web.security import SESSION

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
BIDI_CONTROLS = {
    code: f"[U+{code:04X}]" for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
"""Unicode's bidirectional controls (UAX #9), with a visible replacement."""
LANGUAGE_COOKIE = "kommunevert_language"
KERNEL = Path(__file__).resolve().parents[1]
KERNEL_TEMPLATES = (KERNEL / "web" / "templates", KERNEL / "console" / "templates")


class Shell:
    """Shared by all pages: template engine, assets, menu."""

    def __init__(self, site: SiteSettings, hooks: Hooks, assets: Assets, live: Live) -> None:
        self.site = site
        self.hooks = hooks
        self.assets = assets
        self.live = live
        self.ask_again: Callable[[Serve], Serve]
        """Set when pages are served (hub.console.login.password_again)."""
        self.wrong_tries: Callable[[str], Any] = lambda _account: None
        """Failed logins by others with a user's name (hub.console.login.limits)."""
        self.translators: dict[str, Translator] = {}
        self.languages = tuple(one for one in site.languages if (KERNEL / "locale" / one).is_dir()) or ("en",)
        self._folders: dict[str, FileSystemLoader] = {}
        self.templates = Environment(
            loader=PrefixLoader(self._folders),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            finalize=_with_visible_bidi,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def add(self, owner: str, folder: Path) -> Translator:
        self._folders[owner] = FileSystemLoader(KERNEL_TEMPLATES if folder == KERNEL else folder / "templates")
        translator = Translator(dict.fromkeys((folder, KERNEL)), self.site.languages)
        self.translators[owner] = translator
        return translator

    def language(self, request: web.Request) -> str:
        chosen = request.cookies.get(LANGUAGE_COOKIE, "")
        return chosen if chosen in self.languages else self.languages[0]

    async def titles(self, request: web.Request) -> list[tuple[str, str]]:
        """Plugin name and title of its first page, in the page's language."""
        language = self.language(request)
        return [
            (owner, self.translators[owner].text(language, offered[0].title))
            for owner, offered in (await self.hooks.all(pages)).by_plugin
            if offered
        ]

    async def menu(self, request: web.Request) -> list[tuple[MenuEntry, str]]:
        """The pages that this session may open, each with its title in the page's language."""
        session = request[SESSION]
        if session is None:
            return []
        text = [
            (page, self.translators[owner].text(self.language(request), page.title))
            for owner, offered in [("hub", KERNEL_PAGES), *(await self.hooks.all(pages)).by_plugin]
            for page in offered
            if session.may(page.roles)
        ]
        return sorted(text, key=lambda each: each[0].order)


KERNEL_PAGES = [
    MenuEntry("/devices", N_("Devices"), frozenset({"it", "caretaker"}), 80),
    MenuEntry("/plugins", N_("Plugins"), frozenset({"it"}), 90),
    MenuEntry("/tokens", N_("Tokens"), frozenset({"it"}), 93),
    MenuEntry("/audit", N_("Audit log"), frozenset({"it"}), 95),
]


class Pages:
    """The routes of the kernel or of one plugin; `render` renders one of its templates."""

    def __init__(self, owner: str, folder: Path, shell: Shell, guard: Callable[[str, str, Serve], Serve]) -> None:
        self.owner = owner
        self.routes: list[web.RouteDef] = []
        self._shell = shell
        self._guard = guard
        self.translator = shell.add(owner, folder)

    def page(self, path: str, roles: AbstractSet[Role], serve: Serve) -> None:
        """Add a page for these roles; others are redirected to the login, or get 403."""
        self._add("GET", path, _for_roles(frozenset(roles), serve))

    def action(
        self,
        path: str,
        roles: AbstractSet[Role],
        serve: Serve,
        *forms: Form,
        asks_again: bool = False,
        looks_itself: bool = False,
    ) -> None:
        """Add a form's POST for these roles. What matches none of `forms` is refused with 400.

        Without `forms` it has no fields. `asks_again`: the password is required if it was not entered recently.
        `looks_itself`: the fields vary, and `serve` calls `must_be` itself.
        """
        again = _deferred(lambda: self._shell.ask_again(serve)) if asks_again else serve
        wanted = () if looks_itself else forms or (Form(),)
        self._add("POST", path, _for_roles(frozenset(roles), with_form(again, *wanted)))

    def ask_again(self, serve: Serve) -> Serve:
        """`serve`, preceded by the password prompt if the password was not entered recently."""
        return self._shell.ask_again(serve)

    def public(self, method: str, path: str, serve: Serve, *forms: Form) -> None:
        """Add a route without login. `forms`: as for an action, for a POST; at most 8 kB and 20 fields."""
        wanted = forms or (Form(),)
        self._add(method, path, with_form(serve, *wanted, is_public=True) if method == "POST" else serve)

    def built(self, path: str, name: str, headers: dict[str, str] | None = None) -> None:
        """Add a page or service worker from the front-end build."""

        async def serve(_request: web.Request) -> web.StreamResponse:
            answer = self._shell.assets.file(name)
            answer.headers.update(headers or {})
            return answer

        self.public("GET", path, serve)

    @property
    def zone(self) -> ZoneInfo:
        return self._shell.site.zone

    def language(self, request: web.Request) -> str:
        return self._shell.language(request)

    async def menu(self, request: web.Request) -> list[tuple[MenuEntry, str]]:
        return await self._shell.menu(request)

    async def titles(self, request: web.Request) -> list[tuple[str, str]]:
        """Plugin name and title of its first page, in the page's language."""
        return await self._shell.titles(request)

    def words(self, language: str) -> Callable[..., str]:
        """The translation function; call it `_`, so that the check of the catalogues finds your messages."""
        return partial(self.translator.text, language)

    def words_of(self, owner: str, language: str) -> Callable[..., str]:
        """As `words`, of another owner; of this one if that is not started."""
        return partial(self._shell.translators.get(owner, self.translator).text, language)

    async def render(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """Render a page in the shell."""
        return await self._rendered(request, template, status, {"menu": await self._shell.menu(request), **values})

    async def part(self, request: web.Request, template: str, **values: Any) -> web.Response:
        """Render a live part of a page, which has an address of its own."""
        return await self._rendered(request, template, 200, values)

    async def _rendered(self, request: web.Request, template: str, status: int, values: dict[str, Any]) -> web.Response:
        shell, language, session = self._shell, self.language(request), request[SESSION]
        translations = self.translator.translations(language)
        text = shell.templates.get_template(f"{self.owner}/{template}").render(
            {
                "_": partial(_translated, translations.gettext),
                "language": language,
                "languages": shell.languages,
                "language_name": _language_name,
                "site": shell.site,
                "session": request[SESSION],
                "wrong_tries": None if session is None else shell.wrong_tries(session.account),
                "path": request.path,
                "changes": shell.live.count,
                "asset": shell.assets.url,
                "clock": partial(_clock, shell.site, language),
                "day": partial(_day, shell.site, language),
                "moment": partial(_moment, shell.site, language),
                **values,
            }
        )
        return web.Response(text=text, content_type="text/html", status=status, headers={"Cache-Control": "no-store"})

    def _add(self, method: str, path: str, serve: Serve) -> None:
        self.routes.append(web.route(method, path, self._guard(self.owner, path, serve)))


def see(path: str) -> web.Response:
    """A redirect after a form (303), so that reloading does not submit it again."""
    return web.Response(status=303, headers={"Location": path})


def _deferred(get: Callable[[], Serve]) -> Serve:
    """Deferred, since plugins add their pages before the hub serves any."""

    async def serve(request: web.Request) -> web.StreamResponse:
        return await get()(request)

    return serve


def _for_roles(roles: frozenset[Role], serve: Serve) -> Serve:
    async def guarded(request: web.Request) -> web.StreamResponse:
        session = request[SESSION]
        if session is None:
            if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
                raise web.HTTPSeeOther(f"/login?to={quote(request.path_qs, safe='/')}")
            raise web.HTTPUnauthorized(text="Log in first.")
        if not session.may(roles):
            raise web.HTTPForbidden(text=f"This page is for {', '.join(sorted(roles))}.")
        return await serve(request)

    return guarded


def _with_visible_bidi(value: Any) -> Any:
    """Make bidirectional control characters visible, so that a name cannot be made to look like another.

    Also in Markup, which translated sentences are.
    """
    return value.translate(BIDI_CONTROLS) if isinstance(value, str) and not value.isascii() else value


def _translated(gettext: Callable[[str], str], message: str, **values: object) -> Markup | str:
    """Catalogues are ours and may contain markup; values are escaped."""
    text = gettext(message)
    return Markup(text) % values if values else text  # noqa: S704


def _clock(site: SiteSettings, language: str, at: datetime | None) -> str:
    return "" if at is None else format_time(_local(site, at), "HH:mm", locale=babel_locale(language))


def _day(site: SiteSettings, language: str, at: datetime | None) -> str:
    return (
        ""
        if at is None
        else format_date(_local(site, at), pattern(language, "EEEE d MMMM"), locale=babel_locale(language))
    )


def _moment(site: SiteSettings, language: str, at: datetime | None) -> str:
    return (
        ""
        if at is None
        else format_datetime(_local(site, at), pattern(language, "d MMM HH:mm:ss"), locale=babel_locale(language))
    )


def _local(site: SiteSettings, at: datetime) -> datetime:
    """In the site's zone; unchanged if that would overflow."""
    try:
        return at.astimezone(site.zone)
    except OverflowError:
        return at


def _language_name(language: str) -> str:
    """The language's name in itself; its code if CLDR does not have it."""
    try:
        return Locale.parse(language).get_display_name(language) or language
    except (UnknownLocaleError, ValueError):
        return language


def pattern(language: str, written: str) -> str:
    """A date pattern such as `EEEE d MMMM` for the language: Norwegian has a point after the day."""
    return written.replace("d ", "d. ") if language in ("nn", "nb") else written


def babel_locale(language: str) -> str:
    return {"nn": "nn_NO", "nb": "nb_NO"}.get(language, language)
