"""Plugins and the hub's parts: their state and health, the personal data that plugins hold, and restarts."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from hub.api.operations import Call, Document, Nothing, Page, PageQuery, Query, found, operation, page_of
from hub.hooks.asking import Hooks
from hub.hooks.specifications import health, held_data
from hub.hosting.choosing import Choosing
from hub.hosting.host import HostedPlugin, PluginHost
from hub.language.translation import fill
from hub.work.parts import Condition


class PluginPath(Query):
    plugin: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


class HeldDocument(Document):
    """One kind of personal data that the plugin holds."""

    what: str
    count: int
    kept_for: str
    oldest: datetime | None


class PluginDocument(Document):
    name: str
    version: str
    state: str = Field(description="off, running, failed, quarantined …")
    reason: str | None
    problem: str | None = Field(description="what the plugin itself says is wrong")
    last_failure: str | None
    figures: dict[str, str | int | float]
    receives: list[str] = Field(description="topics, from `<kind>` on")
    holds: list[HeldDocument]


class PluginPage(Page[PluginDocument]):
    """Plugins by name."""


class PartDocument(Document):
    name: str
    state: Literal["ok", "not ready"]
    problem: str | None


class PartsDocument(Document):
    """The hub can do its work when every part is `ok`."""

    is_ready: bool
    parts: list[PartDocument]


class PluginApi:
    def __init__(self, host: PluginHost, choosing: Choosing, hooks: Hooks, condition: Condition) -> None:
        self._host = host
        self._choosing = choosing
        self._hooks = hooks
        self._condition = condition

    @operation("GET", "/plugins", summary="Plugins", scope="plugins:read", roles={"it"})
    async def plugins(self, call: Call[Nothing, PageQuery, Nothing]) -> PluginPage:
        part, following = page_of(self._host.plugins.values(), lambda one: one.name, call.query)
        return PluginPage(items=await self._documents(part), next=following)

    @operation("GET", "/plugins/{plugin}", summary="One plugin", scope="plugins:read", roles={"it"})
    async def plugin(self, call: Call[PluginPath, Nothing, Nothing]) -> PluginDocument:
        return (await self._documents([self._found(call.path)]))[0]

    @operation(
        "POST",
        "/plugins/{plugin}/release",
        summary="Start a plugin anew that is in quarantine or did not start",
        scope="plugins:write",
        roles={"it"},
    )
    async def release(self, call: Call[PluginPath, Nothing, Nothing]) -> PluginDocument:
        plugin = self._found(call.path)
        await self._choosing.release(plugin, call.caller.name)
        return (await self._documents([plugin]))[0]

    @operation("GET", "/parts", summary="The hub's parts", scope="plugins:read", roles={"it"})
    async def parts(self, _call: Call[Nothing, Nothing, Nothing]) -> PartsDocument:
        problems = self._condition.problems()
        return PartsDocument(
            is_ready=not any(problems.values()),
            parts=[
                PartDocument(name=name, state="not ready" if problem else "ok", problem=problem)
                for name, problem in problems.items()
            ],
        )

    def _found(self, path: PluginPath) -> HostedPlugin:
        return found(self._host.plugins.get(path.plugin), "such plugin")

    async def _documents(self, plugins: list[HostedPlugin]) -> list[PluginDocument]:
        healths = dict((await self._hooks.all(health)).by_plugin)
        held = dict((await self._hooks.all(held_data)).by_plugin)
        made = []
        for plugin in plugins:
            own = healths.get(plugin.name)
            receives = sorted(plugin.instance.context.handled) if hasattr(plugin.instance, "context") else []
            made.append(
                PluginDocument(
                    name=plugin.name,
                    version=plugin.version,
                    state=plugin.state,
                    reason=plugin.reason,
                    problem=own.problem if own else None,
                    last_failure=plugin.last_failure,
                    figures=own.figures if own else {},
                    receives=receives,
                    holds=[
                        HeldDocument(
                            what=each.what,
                            count=each.count,
                            kept_for=fill(each.kept_for, each.values),
                            oldest=each.oldest,
                        )
                        for each in held.get(plugin.name, [])
                    ],
                )
            )
        return made
