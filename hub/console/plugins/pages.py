"""The page Plugins: how each is and what it touches; switched on and off, set and started anew while the hub runs."""

import sys
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from hub.console.plugins.settings_form import FormError, fields_of, filled, form_of, mistakes_of, section_of
from hub.devices.mqtt import Mqtt
from hub.hooks.asking import Hooks
from hub.hooks.specifications import Health, HeldData, health, held_data
from hub.hosting.choosing import Choosing
from hub.hosting.host import HostedPlugin, PluginHost
from hub.hosting.lifecycle import PluginLifecycle
from hub.store.events import Events
from hub.web.forms import Form, must_be
from hub.web.pages import Pages, see
from hub.web.security import session_of
from hub.work.jobs import Jobs
from hub.work.parts import Condition


@dataclass(frozen=True)
class Touches:
    """What a plugin that runs has to do with."""

    topics: list[str]
    tables: list[str]
    hooks: list[str]
    pages: list[str]
    loops: list[str]


class PluginPages:
    def __init__(
        self,
        pages: Pages,
        host: PluginHost,
        lifecycle: PluginLifecycle,
        choosing: Choosing,
        hooks: Hooks,
        events: Events,
        jobs: Jobs,
        mqtt: Mqtt,
        condition: Condition,
    ) -> None:
        self._pages = pages
        self._host = host
        self._lifecycle = lifecycle
        self._choosing = choosing
        self._hooks = hooks
        self._events = events
        self._jobs = jobs
        self._mqtt = mqtt
        self._condition = condition
        pages.page("/plugins", {"it"}, self.plugin_list)
        pages.action("/plugins/{plugin}/release", {"it"}, self.release)
        pages.action("/plugins/{plugin}/switch", {"it"}, self.switch, Form(must=("on",), choices={"on": {"yes", "no"}}))
        pages.page("/plugins/{plugin}/settings", {"it"}, self.settings)
        pages.action("/plugins/{plugin}/settings", {"it"}, self.set, looks_itself=True)
        pages.action("/plugins/{plugin}/file", {"it"}, self.reset_to_file)

    async def plugin_list(self, request: web.Request) -> web.StreamResponse:
        healths: dict[str, Health] = dict((await self._hooks.all(health)).by_plugin)
        held: dict[str, list[HeldData]] = dict((await self._hooks.all(held_data)).by_plugin)
        language, problems = self._pages.language(request), self._condition.problems()
        return await self._pages.render(
            request,
            "plugins.html",
            plugins=list(self._host.plugins.values()),
            parts={part: problem for part, problem in problems.items() if not part.startswith("plugin")}
            | self._condition.remarks(),
            healths=healths,
            waiting_events=_by_plugin(self._events.parked),
            given_up_events=_by_plugin(self._events.abandoned),
            given_up_jobs=self._jobs.given_up,
            held=held,
            touches={name: self._touches(plugin) for name, plugin in self._host.plugins.items()},
            choices=self._choosing.choices,
            words_of=lambda name: self._pages.words_of(name, language),
        )

    async def release(self, request: web.Request) -> web.StreamResponse:
        plugin = self._plugin(request)
        await self._choosing.release(plugin, session_of(request).account)
        return see("/plugins")

    async def switch(self, request: web.Request) -> web.StreamResponse:
        plugin = self._plugin(request)
        is_on = str((await request.post()).get("on", "")) == "yes"
        await self._choosing.switch(plugin, session_of(request).account, is_on=is_on)
        return see("/plugins")

    async def settings(self, request: web.Request) -> web.StreamResponse:
        plugin = self._plugin(request)
        return await self._form(
            request, plugin, form_of(_model(plugin), self._choosing.choices.section_in_force(plugin))
        )

    async def set(self, request: web.Request) -> web.StreamResponse:
        """Checked as the file is; the plugin starts anew with them at once."""
        plugin = self._plugin(request)
        model = _model(plugin)
        post = await request.post()
        sent = {name: str(value) for name, value in post.items()}

        def many(name: str) -> list[str]:
            return [str(value) for value in post.getall(name, [])]

        words = self._pages.words_of(plugin.name, self._pages.language(request))
        form = form_of(model, self._choosing.choices.section_in_force(plugin))
        must_be(post, fields_of(form, post))
        try:
            section = self._choosing.choices.checked(plugin, section_of(form, sent, many))
        except FormError as error:
            mistakes = error.described(words)
            return await self._form(request, plugin, filled(form, sent, many, mistakes), mistakes)
        except ValidationError as error:
            mistakes = mistakes_of(form, error, words)
            return await self._form(request, plugin, filled(form, sent, many, mistakes), mistakes)
        actor = session_of(request).account
        before = {one.name: one.value for one in form}
        changed = sorted(one.name for one in form_of(model, section) if one.value != before.get(one.name))
        await self._choosing.save_settings(plugin, section, changed, actor)
        return see("/plugins")

    async def reset_to_file(self, request: web.Request) -> web.StreamResponse:
        plugin = self._plugin(request)
        await self._choosing.reset_to_file(plugin, session_of(request).account)
        return see("/plugins")

    async def _form(
        self, request: web.Request, plugin: HostedPlugin, form: Any, mistakes: dict[str, str] | None = None
    ) -> web.StreamResponse:
        language = self._pages.language(request)
        return await self._pages.render(
            request,
            "plugin_settings.html",
            status=422 if mistakes else 200,
            plugin=plugin,
            form=form,
            mistakes=mistakes or {},
            choice=self._choosing.choices.get(plugin.name),
            words=self._pages.words_of(plugin.name, language),
        )

    def _plugin(self, request: web.Request) -> HostedPlugin:
        name = request.match_info["plugin"]
        if name not in self._host.plugins:
            raise web.HTTPNotFound(text=f"There is no plugin {name}.")
        return self._host.plugins[name]

    def _touches(self, plugin: HostedPlugin) -> Touches | None:
        name = plugin.name
        if plugin.context is None or plugin.module is None:
            return None
        tables = getattr(sys.modules.get(f"{plugin.module.__name__}.tables"), "metadata", None)
        return Touches(
            topics=sorted(self._mqtt.topics_of(name)),
            tables=sorted(tables.tables) if tables is not None else [],
            hooks=self._hooks.implemented_by(name),
            pages=sorted({path for _, path in self._lifecycle.routes.of(name)}),
            loops=sorted(plugin.loops),
        )


def _model(plugin: HostedPlugin) -> Any:
    """Raises HTTPConflict while the plugin's code is not there."""
    if plugin.module is None:
        raise web.HTTPConflict(text=f"The plugin {plugin.name} is not loaded; switch it on to see its settings.")
    return plugin.module.Plugin.settings_model


def _by_plugin(followers: dict[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in followers.items():
        plugin = name.partition(":")[0]
        found[plugin] = found.get(plugin, 0) + count
    return found
