"""Asking the hooks: typed by their specification, isolated by plugin, bounded in time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from types import ModuleType
from typing import Any, ParamSpec, Protocol, TypeVar, get_origin, get_type_hints

import pluggy
from pydantic import ConfigDict, TypeAdapter, ValidationError

from hub.hooks.guard import Owner, at_once, guarded, ours
from hub.hooks.patience import Patience
from hub.hooks.specifications import DECLARED, NotYetError

P = ParamSpec("P")
R = TypeVar("R")

LOOKED_AT_ONCE = 200
"""Parts of a list that are checked without a pause."""
MOST_WAITED_FOR = 5
"""`must` hands a thing over again while somebody fails, so often in a row at most."""


class UnansweredError(Exception):
    """Nobody who could answer did, but one that may know has failed, or is not there at present: ask again later."""


class Blame(Protocol):
    """Who keeps count of a plugin's failures."""

    def failed(self, plugin: str, where: str, error: BaseException) -> None: ...

    def raised(self, plugin: str, where: str, error: BaseException) -> None: ...

    def succeeded(self, plugin: str, where: str) -> None: ...

    def late(self, plugin: str, hook: str, within: float) -> None: ...

    def patience(self, plugin: str, hook: str, within: float) -> float: ...

    def is_quarantined(self, plugin: str) -> bool: ...

    def missing(self, hook: str) -> list[str]: ...

    def owner(self, name: str) -> Owner | None: ...


class Hooks:
    """`await hooks.every(present)`: a list with each plugin's answer, in plugin order."""

    def __init__(self, blame: Blame) -> None:
        self._manager = pluggy.PluginManager("kommunevert")
        self._blame = blame
        self._specified: set[str] = set()
        self._learn()
        self._failed_to_take: dict[tuple[str, str], int] = {}

    def register(self, name: str, plugin: object) -> None:
        """Raises pluggy.PluginValidationError when an implementation does not fit its specification."""
        self._learn()
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
            self._check_coroutines(name, plugin)
        except pluggy.PluginValidationError:
            self._manager.unregister(name=name)
            raise

    def _check_coroutines(self, name: str, plugin: object) -> None:
        for caller in self._manager.get_hookcallers(plugin) or ():
            for each in caller.get_hookimpls():
                if each.plugin_name == name and not inspect.iscoroutinefunction(inspect.unwrap(each.function)):
                    raise pluggy.PluginValidationError(
                        plugin, f"the hook {caller.name} is no coroutine: write `async def {caller.name}`"
                    )

    def unregister(self, name: str) -> None:
        """The plugin is asked no more; one that was never registered is not missed."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def _learn(self) -> None:
        """The hooks of contracts that have been imported since."""
        if len(self._specified) < len(DECLARED):
            fresh = ModuleType("fresh")
            vars(fresh).update((name, one) for name, one in list(DECLARED.items()) if name not in self._specified)
            self._specified |= vars(fresh).keys() & DECLARED.keys()
            self._manager.add_hookspecs(fresh)

    def implemented_by(self, name: str) -> list[str]:
        """The hooks that this plugin answers."""
        plugin = self._manager.get_plugin(name)
        return sorted(caller.name for caller in self._manager.get_hookcallers(plugin) or ()) if plugin else []

    async def every(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """All answers. A plugin that raises or is late has none."""
        return [answer for _, answer in await self.named(spec, *args, **kwargs)]

    async def named(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> list[tuple[str, R]]:
        """All answers, each with the plugin that gave it."""
        outcomes = await self._ask(self._willing(spec, args), spec, kwargs)
        return [(plugin, answer) for plugin, answer in outcomes if not isinstance(answer, BaseException)]

    async def first(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The first answer that is not None, in plugin order; nobody after it is waited for."""
        return (await self._first(spec, lambda answer: answer is not None, *args, **kwargs))[0]

    async def any(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether one says yes; nobody after it is waited for."""
        return (await self._first(spec, bool, *args, **kwargs))[0] is not None

    async def certain(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """As `first`, for what is refused for good without an answer.

        Raises UnansweredError instead of giving None while a plugin that may know has failed or is out of order.
        """
        found, failed = await self._first(spec, lambda answer: answer is not None, *args, **kwargs)
        if found is None:
            missing = self._blame.missing(spec.__name__)
            if failed or missing:
                raise UnansweredError(f"{spec.__name__}: no answer from {', '.join(sorted({*failed, *missing}))}")
        return found

    async def unopposed(self, spec: Callable[P, Awaitable[bool | None]], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether nobody says False.

        Raises UnansweredError when nobody does, but one that may has failed or is out of order.
        """
        opposed, failed = await self._first(spec, lambda answer: answer is False, *args, **kwargs)
        missing = self._blame.missing(spec.__name__)
        if opposed is None and (failed or missing):
            raise UnansweredError(f"{spec.__name__}: no answer from {', '.join(sorted({*failed, *missing}))}")
        return opposed is None

    async def some(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether one says yes, once everybody has had their turn. Raises the first failure when nobody does."""
        outcomes = await self._ask(self._willing(spec, args), spec, kwargs)
        if any(answer for _, answer in outcomes if not isinstance(answer, BaseException)):
            return True
        for _, answer in outcomes:
            if isinstance(answer, BaseException):
                raise answer
        return False

    async def must(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """All answers. Raises the first failure, once everybody has had their turn: for what is tried again.

        Whoever has failed five times in a row is not waited for any more, until it takes one: the others go on.
        """
        outcomes = await self._ask(self._willing(spec, args), spec, kwargs)
        raised: BaseException | None = None
        for plugin, answer in outcomes:
            key = (plugin, spec.__name__)
            if not isinstance(answer, BaseException):
                self._failed_to_take.pop(key, None)
                continue
            self._failed_to_take[key] = self._failed_to_take.get(key, 0) + 1
            if self._failed_to_take[key] < MOST_WAITED_FOR:
                raised = raised or answer
        if raised is not None:
            raise raised
        return [answer for _, answer in outcomes if not isinstance(answer, BaseException)]

    async def one(self, name: str, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The answer of the plugin `name`; None when it has none."""
        willing = [each for each in self._willing(spec, args) if each.plugin_name == name]
        outcomes = await self._ask(willing, spec, kwargs)
        return next((answer for _, answer in outcomes if not isinstance(answer, BaseException)), None)

    async def _first(
        self, spec: Callable[P, Awaitable[R]], good: Callable[[R], bool], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[R | None, list[str]]:
        """The first good answer, and who failed before it."""
        willing = self._willing(spec, args)
        if len(willing) == 1:  # the usual case, on the way of every visit
            answer = await self._one(willing[0], spec, kwargs)
            if isinstance(answer, BaseException):
                return None, [willing[0].plugin_name]
            return (answer if good(answer) else None), []
        tasks = {each.plugin_name: ours(self._one(each, spec, kwargs)) for each in willing}
        failed: list[str] = []
        try:
            for plugin, task in tasks.items():
                answer = await task
                if isinstance(answer, BaseException):
                    failed.append(plugin)
                elif good(answer):
                    return answer, failed
        finally:
            for task in tasks.values():
                task.cancel()
        return None, failed

    async def _ask(
        self, willing: list[pluggy.HookImpl], spec: Callable[..., Awaitable[R]], arguments: dict[str, Any]
    ) -> list[tuple[str, R | BaseException]]:
        if len(willing) == 1:
            return [(willing[0].plugin_name, await self._one(willing[0], spec, arguments))]
        answers = await asyncio.gather(*(ours(self._one(each, spec, arguments)) for each in willing))
        return [(each.plugin_name, answer) for each, answer in zip(willing, answers, strict=True)]

    def _willing(self, spec: Callable[..., Any], args: tuple[Any, ...]) -> list[pluggy.HookImpl]:
        if args:
            raise TypeError("hooks are asked by keyword")
        self._learn()
        caller: pluggy.HookCaller = getattr(self._manager.hook, spec.__name__)
        return [each for each in caller.get_hookimpls() if not self._blame.is_quarantined(each.plugin_name)]

    async def _one(self, each: pluggy.HookImpl, spec: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        plugin, name = each.plugin_name, spec.__name__
        within: float = spec.within_seconds  # type: ignore[attr-defined]
        wanted = {key: value for key, value in arguments.items() if key in each.argnames}
        patience = self._blame.patience(plugin, name, within)
        limit = Patience(patience)
        try:
            with limit:
                answer = await self._answer(each, wanted)
            fitting = await _fitting(spec, answer)
            self._blame.succeeded(plugin, f"hook {name}")
            return fitting
        except NotYetError as error:
            return error  # no failure: it does not know yet
        except TimeoutError as error:
            if limit.expired:
                self._blame.late(plugin, name, within)
            else:
                self._blame.failed(plugin, f"hook {name}", error)
            return error
        except Exception as error:  # noqa: BLE001 (isolation: a plugin's failure is its own)
            self._blame.failed(plugin, f"hook {name}", error)
            return error

    async def _answer(self, each: pluggy.HookImpl, wanted: dict[str, Any]) -> Any:
        """Ours in the asker's own task; others' in one of its own, so that nobody waits until a late one has ended."""
        owner = self._blame.owner(each.plugin_name)
        call: Callable[[], Awaitable[Any]] = lambda: each.function(**wanted)  # type: ignore[assignment, return-value]  # noqa: E731
        if owner is None:
            return await call()
        if owner.is_ours:
            return await guarded(owner, at_once(owner, call))
        task = ours(guarded(owner, at_once(owner, call)))
        owner.tasks.add(task)
        task.add_done_callback(owner.tasks.discard)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        return task.result()


class WrongAnswerError(TypeError):
    """A hook's answer is not of the type that its specification names."""


async def _fitting(spec: Callable[..., Any], answer: Any) -> Any:
    """The answer if it is what the specification says, in all its fields. Raises WrongAnswerError.

    A long list is looked at a part at a time: ten thousand people take a third of a second.
    """
    answers = _answers(spec)
    try:
        if isinstance(answer, list) and len(answer) > LOOKED_AT_ONCE and _gives_a_list(spec):
            for start in range(0, len(answer), LOOKED_AT_ONCE):
                answers.validate_python(answer[start : start + LOOKED_AT_ONCE])
                await asyncio.sleep(0)
        else:
            answers.validate_python(answer)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise WrongAnswerError(f"{where}: {first['type']}") from None
    return answer


@cache
def _gives_a_list(spec: Callable[..., Any]) -> bool:
    return get_origin(get_type_hints(spec).get("return", Any)) is list


@cache
def _answers(spec: Callable[..., Any]) -> TypeAdapter[Any]:
    config = ConfigDict(arbitrary_types_allowed=True, strict=True, revalidate_instances="always")
    hint = get_type_hints(spec).get("return", Any)
    try:
        return TypeAdapter(hint, config=config)
    except Exception:  # noqa: BLE001 (a model of its own configuration brings its own rules)
        return TypeAdapter(hint)
