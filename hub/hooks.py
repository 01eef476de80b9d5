"""Asking the hooks: typed by their specification, isolated by plugin, bounded in time."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, ParamSpec, Protocol, TypeVar

import pluggy

from hub import hookspecs

P = ParamSpec("P")
R = TypeVar("R")


class Blame(Protocol):
    """Who keeps count of a plugin's failures."""

    def failed(self, plugin: str, where: str, error: BaseException) -> None: ...

    def is_quarantined(self, plugin: str) -> bool: ...


class Hooks:
    """`await hooks.every(find_hosts, text="kar", limit=5)`: a list with each plugin's answer, in plugin order."""

    def __init__(self, blame: Blame) -> None:
        self._manager = pluggy.PluginManager("kommunevert")
        self._manager.add_hookspecs(hookspecs)
        self._blame = blame

    def register(self, name: str, plugin: object) -> None:
        """Raises pluggy.PluginValidationError when an implementation does not fit its specification."""
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            self._manager.unregister(name=name)
            raise

    def add_specifications(self, module: ModuleType) -> None:
        """A plugin's own hooks, for others to implement."""
        self._manager.add_hookspecs(module)

    async def every(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """All answers. A plugin that raises or is late has none."""
        return [answer for _, answer in await self.named(spec, *args, **kwargs)]

    async def named(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> list[tuple[str, R]]:
        """All answers, each with the plugin that gave it."""
        outcomes = await self._ask(spec, *args, **kwargs)
        return [(plugin, answer) for plugin, answer in outcomes if not isinstance(answer, BaseException)]

    async def first(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The first answer that is not None."""
        for answer in await self.every(spec, *args, **kwargs):
            if answer is not None:
                return answer
        return None

    async def must(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """All answers. Raises the first failure, once everybody has had their turn: for what is tried again."""
        outcomes = await self._ask(spec, *args, **kwargs)
        for _, answer in outcomes:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for _, answer in outcomes if not isinstance(answer, BaseException)]

    async def _ask(
        self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> list[tuple[str, R | BaseException]]:
        if args:
            raise TypeError("hooks are asked by keyword")
        name: str = spec.__name__
        within: float = spec.within_seconds  # type: ignore[attr-defined]
        caller: pluggy.HookCaller = getattr(self._manager.hook, name)
        willing = [each for each in caller.get_hookimpls() if not self._blame.is_quarantined(each.plugin_name)]
        if len(willing) == 1:  # the usual case, on the way of every visit
            return [(willing[0].plugin_name, await self._one(willing[0], name, within, kwargs))]
        answers = await asyncio.gather(*(self._one(each, name, within, kwargs) for each in willing))
        return [(each.plugin_name, answer) for each, answer in zip(willing, answers, strict=True)]

    async def _one(self, each: pluggy.HookImpl, name: str, within: float, arguments: dict[str, Any]) -> Any:
        wanted = {key: value for key, value in arguments.items() if key in each.argnames}
        try:
            async with asyncio.timeout(within):
                answer: Awaitable[Any] = each.function(**wanted)  # type: ignore[assignment]
                return await answer
        except Exception as error:  # noqa: BLE001 (isolation: a plugin's failure is its own)
            self._blame.failed(each.plugin_name, f"hook {name}", error)
            return error
