"""Calling hooks: typed by their specification, isolated by plugin, with a time limit."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from types import ModuleType
from typing import Any, ParamSpec, Protocol, TypeVar, get_origin, get_type_hints

import pluggy
from pydantic import ConfigDict, TypeAdapter, ValidationError

from hub.hooks.guard import Owner, call_guarded, guarded, kernel_task
from hub.hooks.pausable_timeout import PausableTimeout
from hub.hooks.specifications import DECLARED, NotYetError

P = ParamSpec("P")
R = TypeVar("R")

ITEMS_CHECKED_AT_ONCE = 200
"""List items that are validated without yielding to the event loop."""
MAX_FAILURES_IN_A_ROW = 5
"""`must` raises, so that its caller retries, until a plugin has failed this often in a row."""


class UnansweredError(Exception):
    """No plugin has answered, but one that might has failed or is not running: try again later."""


class Replies(list[R]):
    """The answers of a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.by_plugin: list[tuple[str, R]] = []
        self.missing: list[str] = []
        """Plugins that failed, were late, or are not running, though they should answer."""


class Blame(Protocol):
    """Keeps count of plugins' failures."""

    def failed(self, plugin: str, where: str, error: BaseException) -> None: ...

    def raised(self, plugin: str, where: str, error: BaseException) -> None: ...

    def succeeded(self, plugin: str, where: str) -> None: ...

    def late(self, plugin: str, hook: str, time_limit: float) -> None: ...

    def time_limit_for(self, plugin: str, hook: str, time_limit: float) -> float: ...

    def is_quarantined(self, plugin: str) -> bool: ...

    def missing(self, hook: str) -> list[str]: ...

    def owner(self, name: str) -> Owner | None: ...


class Hooks:
    """Calls hooks: `all` for everybody's answers, `first` or `required` for one, `veto` for leave.

    `some` and `must` pass messages on, and end with the kernel's own messages; `one` is for the plugins' lifecycle.
    """

    def __init__(self, blame: Blame) -> None:
        self._manager = pluggy.PluginManager("kommunevert")
        self._blame = blame
        self._added: set[str] = set()
        self._add_declared()
        self._failures_in_a_row: dict[tuple[str, str], int] = {}

    def register(self, name: str, plugin: object) -> None:
        """Raises pluggy.PluginValidationError when an implementation does not fit its specification."""
        self._add_declared()
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
            self._check_coroutines(name, plugin)
        except pluggy.PluginValidationError:
            self._manager.unregister(name=name)
            raise

    def _check_coroutines(self, name: str, plugin: object) -> None:
        for caller in self._manager.get_hookcallers(plugin) or ():
            for implementation in caller.get_hookimpls():
                if implementation.plugin_name == name and not inspect.iscoroutinefunction(
                    inspect.unwrap(implementation.function)
                ):
                    raise pluggy.PluginValidationError(
                        plugin, f"the hook {caller.name} is no coroutine: write `async def {caller.name}`"
                    )

    def unregister(self, name: str) -> None:
        """Remove the plugin's implementations; does nothing if it was not registered."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def _add_declared(self) -> None:
        """Add the hooks of contracts that were imported since the last call."""
        if len(self._added) < len(DECLARED):
            specifications = ModuleType("fresh")
            vars(specifications).update((name, one) for name, one in list(DECLARED.items()) if name not in self._added)
            self._added |= vars(specifications).keys() & DECLARED.keys()
            self._manager.add_hookspecs(specifications)

    def implemented_by(self, name: str) -> list[str]:
        """The hooks that this plugin implements."""
        plugin = self._manager.get_plugin(name)
        return sorted(caller.name for caller in self._manager.get_hookcallers(plugin) or ()) if plugin else []

    async def all(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> Replies[R]:
        """All answers, in plugin order; `missing` names the plugins that could not give theirs."""
        outcomes = await self._call_all(self._implementations(spec, args), spec, kwargs)
        replies = Replies[R]()
        failed = []
        for plugin, answer in outcomes:
            if isinstance(answer, BaseException):
                failed.append(plugin)
            else:
                replies.append(answer)
                replies.by_plugin.append((plugin, answer))
        replies.missing = sorted({*failed, *self._blame.missing(spec.__name__)})
        return replies

    async def first(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The first answer that is not None, in plugin order; calls to later plugins are cancelled.

        A yes is True, and a no is None.
        """
        return (await self._first(spec, lambda answer: answer is not None, *args, **kwargs))[0]

    async def required(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """As `first`, for callers that must not mistake a failure for None.

        Raises UnansweredError instead of returning None if a plugin that might answer has failed or is not running.
        """
        found, failed = await self._first(spec, lambda answer: answer is not None, *args, **kwargs)
        if found is None:
            missing = self._blame.missing(spec.__name__)
            if failed or missing:
                raise UnansweredError(f"{spec.__name__}: no answer from {', '.join(sorted({*failed, *missing}))}")
        return found

    async def veto(self, spec: Callable[P, Awaitable[bool | None]], *args: P.args, **kwargs: P.kwargs) -> bool:
        """True when no plugin says False.

        Raises UnansweredError if none is, but a plugin that might object has failed or is not running.
        """
        opposed, failed = await self._first(spec, lambda answer: answer is False, *args, **kwargs)
        missing = self._blame.missing(spec.__name__)
        if opposed is None and (failed or missing):
            raise UnansweredError(f"{spec.__name__}: no answer from {', '.join(sorted({*failed, *missing}))}")
        return opposed is None

    async def some(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether any answer is true, after all plugins were called. Raises the first failure if none is."""
        outcomes = await self._call_all(self._implementations(spec, args), spec, kwargs)
        if any(answer for _, answer in outcomes if not isinstance(answer, BaseException)):
            return True
        for _, answer in outcomes:
            if isinstance(answer, BaseException):
                raise answer
        return False

    async def must(self, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """All answers. Raises the first failure, after all plugins were called, so that the caller retries.

        The failures of a plugin that has failed five times in a row are ignored until it succeeds again.
        """
        outcomes = await self._call_all(self._implementations(spec, args), spec, kwargs)
        raised: BaseException | None = None
        for plugin, answer in outcomes:
            key = (plugin, spec.__name__)
            if not isinstance(answer, BaseException):
                self._failures_in_a_row.pop(key, None)
                continue
            self._failures_in_a_row[key] = self._failures_in_a_row.get(key, 0) + 1
            if self._failures_in_a_row[key] < MAX_FAILURES_IN_A_ROW:
                raised = raised or answer
        if raised is not None:
            raise raised
        return [answer for _, answer in outcomes if not isinstance(answer, BaseException)]

    async def one(self, name: str, spec: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """The answer of the plugin `name`; None if it gives none."""
        implementations = [
            implementation for implementation in self._implementations(spec, args) if implementation.plugin_name == name
        ]
        outcomes = await self._call_all(implementations, spec, kwargs)
        return next((answer for _, answer in outcomes if not isinstance(answer, BaseException)), None)

    async def _first(
        self, spec: Callable[P, Awaitable[R]], accepts: Callable[[R], bool], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[R | None, list[str]]:
        """The first accepted answer, and the plugins that failed before it."""
        implementations = self._implementations(spec, args)
        if len(implementations) == 1:  # the usual case
            answer = await self._call(implementations[0], spec, kwargs)
            if isinstance(answer, BaseException):
                return None, [implementations[0].plugin_name]
            return (answer if accepts(answer) else None), []
        tasks = {
            implementation.plugin_name: kernel_task(self._call(implementation, spec, kwargs))
            for implementation in implementations
        }
        failed: list[str] = []
        try:
            for plugin, task in tasks.items():
                answer = await task
                if isinstance(answer, BaseException):
                    failed.append(plugin)
                elif accepts(answer):
                    return answer, failed
        finally:
            for task in tasks.values():
                task.cancel()
        return None, failed

    async def _call_all(
        self, implementations: list[pluggy.HookImpl], spec: Callable[..., Awaitable[R]], arguments: dict[str, Any]
    ) -> list[tuple[str, R | BaseException]]:
        if len(implementations) == 1:
            return [(implementations[0].plugin_name, await self._call(implementations[0], spec, arguments))]
        answers = await asyncio.gather(
            *(kernel_task(self._call(implementation, spec, arguments)) for implementation in implementations)
        )
        return [
            (implementation.plugin_name, answer)
            for implementation, answer in zip(implementations, answers, strict=True)
        ]

    def _implementations(self, spec: Callable[..., Any], args: tuple[Any, ...]) -> list[pluggy.HookImpl]:
        if args:
            raise TypeError("hooks are called with keyword arguments")
        self._add_declared()
        caller: pluggy.HookCaller = getattr(self._manager.hook, spec.__name__)
        return [
            implementation
            for implementation in caller.get_hookimpls()
            if not self._blame.is_quarantined(implementation.plugin_name)
        ]

    async def _call(self, implementation: pluggy.HookImpl, spec: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        plugin, name = implementation.plugin_name, spec.__name__
        time_limit: float = spec.within_seconds  # type: ignore[attr-defined]
        arguments_used = {key: value for key, value in arguments.items() if key in implementation.argnames}
        limit = PausableTimeout(self._blame.time_limit_for(plugin, name, time_limit))
        try:
            with limit:
                answer = await self._run(implementation, arguments_used)
            validated = await _validated(spec, answer)
            self._blame.succeeded(plugin, f"hook {name}")
            return validated
        except NotYetError as error:
            return error  # not a failure
        except TimeoutError as error:
            if limit.expired:
                self._blame.late(plugin, name, time_limit)
            else:
                self._blame.failed(plugin, f"hook {name}", error)
            return error
        except Exception as error:  # noqa: BLE001 (isolation: a plugin's failure is its own)
            self._blame.failed(plugin, f"hook {name}", error)
            return error

    async def _run(self, implementation: pluggy.HookImpl, arguments_used: dict[str, Any]) -> Any:
        """Ours run in the caller's task, others in their own, so that the caller need not wait for a late one."""
        owner = self._blame.owner(implementation.plugin_name)
        call: Callable[[], Awaitable[Any]] = lambda: implementation.function(**arguments_used)  # type: ignore[assignment, return-value]  # noqa: E731
        if owner is None:
            return await call()
        if owner.is_ours:
            return await guarded(owner, call_guarded(owner, call))
        task = kernel_task(guarded(owner, call_guarded(owner, call)))
        owner.tasks.add(task)
        task.add_done_callback(owner.tasks.discard)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        return task.result()


class InvalidAnswerError(TypeError):
    """A hook's answer is not of the type in its specification."""


async def _validated(spec: Callable[..., Any], answer: Any) -> Any:
    """The answer, validated against its specification. Raises InvalidAnswerError.

    A long list is validated in parts: ten thousand people take a third of a second.
    """
    answer_type = _answer_type(spec)
    try:
        if isinstance(answer, list) and len(answer) > ITEMS_CHECKED_AT_ONCE and _returns_list(spec):
            for start in range(0, len(answer), ITEMS_CHECKED_AT_ONCE):
                answer_type.validate_python(answer[start : start + ITEMS_CHECKED_AT_ONCE])
                await asyncio.sleep(0)
        else:
            answer_type.validate_python(answer)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidAnswerError(f"{where}: {first['type']}") from None
    return answer


@cache
def _returns_list(spec: Callable[..., Any]) -> bool:
    return get_origin(get_type_hints(spec).get("return", Any)) is list


@cache
def _answer_type(spec: Callable[..., Any]) -> TypeAdapter[Any]:
    config = ConfigDict(arbitrary_types_allowed=True, strict=True, revalidate_instances="always")
    hint = get_type_hints(spec).get("return", Any)
    try:
        return TypeAdapter(hint, config=config)
    except Exception:  # noqa: BLE001 (a model with a configuration of its own)
        return TypeAdapter(hint)
