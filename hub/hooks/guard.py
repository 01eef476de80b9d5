"""Plugin code on the event loop: attributed to its plugin, and ended if it does not end by itself.

Everything that the hub awaits of a plugin runs inside `guarded(owner, coroutine)`. It marks each step (from one await
to the next), so that the watchdog knows which plugin blocks the loop and since when; it turns whatever the plugin
raises, even SystemExit, into an ordinary Exception; and it cancels a coroutine that ignores its cancellation again,
then abandons it. docs/decisions/0010-interrupting-plugins.md says why.
"""

import asyncio
import ctypes
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

CANCEL_ATTEMPTS = 20
MAX_TASKS = 500
"""Concurrent tasks of one plugin; more is a leak."""


class Owner(Protocol):
    """A plugin, as seen by the guard and the watchdog."""

    name: str
    is_ours: bool
    folder: Path | None
    tasks: "set[asyncio.Task[Any]]"

    @property
    def step_seconds(self) -> float:
        """How long one step may block the loop before it is interrupted."""

    @property
    def grace_seconds(self) -> float:
        """How long a cancelled coroutine may clean up."""


class BlockedInterrupt(BaseException):
    """Raised by the watchdog in plugin code that blocks the loop. The plugin's `except Exception` does not catch it."""


class PluginBlockedError(Exception):
    """A step of a plugin blocked the loop for too long and was interrupted. The watchdog has counted it already."""


class DescribedError(Exception):
    """A plugin's failure, described by the hub: the text contains no personal data and may be displayed."""


class PluginRaisedError(Exception):
    """A plugin raised a BaseException that is not its to raise: SystemExit, KeyboardInterrupt, CancelledError …"""


class Step:
    """A plugin's code between two awaits."""

    __slots__ = ("began", "outer", "owner")

    def __init__(self, owner: Owner, outer: "Step | None") -> None:
        self.owner = owner
        self.outer = outer
        self.began = time.monotonic()


class Steps:
    """The plugin step that runs on the loop now. Written by the loop's thread, read by the watchdog's."""

    def __init__(self) -> None:
        self.current: Step | None = None

    def enter(self, owner: Owner) -> Step:
        step = self.current = Step(owner, self.current)
        return step

    def leave(self, step: Step) -> None:
        """End the step; its time does not count for the plugin that called it."""
        outer = self.current = step.outer
        if outer is not None:
            outer.began += time.monotonic() - step.began


steps = Steps()
"""One per process: only one event loop runs plugin code."""


def _never_collect(coroutine: object) -> None:
    """Keep the coroutine referenced: one that ignores both cancel and close would block for ever in its finaliser."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


class _Guarded(Coroutine[Any, Any, T]):
    __slots__ = ("_cancelling", "_coroutine", "_deadline", "_is_cancelling_again", "_owner", "_timer")

    def __init__(self, owner: Owner, coroutine: Coroutine[Any, Any, T]) -> None:
        self._owner = owner
        self._coroutine = coroutine
        self._cancelling = 0
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_cancelling_again = False

    def __await__(self) -> Generator[Any, Any, T]:
        return self  # type: ignore[return-value]  # it has all that `await` uses

    def __iter__(self) -> "_Guarded[T]":
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        return self._step(self._coroutine.send, value)

    def throw(  # type: ignore[override]
        self, kind: Any, value: BaseException | None = None, trace: TracebackType | None = None
    ) -> Any:
        del trace
        error = value if value is not None else kind if isinstance(kind, BaseException) else kind()
        task = asyncio.current_task()
        cancelling = task.cancelling() if task is not None else 0
        if not isinstance(error, asyncio.CancelledError) or task is None or not cancelling:
            return self._step(self._coroutine.throw, error)
        if self._is_cancelling_again:
            self._is_cancelling_again = False
            task.uncancel()  # this cancellation was ours
        yielded = self._step(self._coroutine.throw, error)
        # It awaits again: it cleans up, handles a timeout of its own, or ignores the cancellation.
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._cancelling, self._deadline = cancelling, loop.time() + self._owner.grace_seconds
            self._timer = loop.call_later(self._owner.grace_seconds, self._cancel_again, task)
            return yielded
        if loop.time() < self._deadline:
            return yielded
        for _ in range(CANCEL_ATTEMPTS):
            self._step(self._coroutine.throw, asyncio.CancelledError())
        self._cancel_timer()
        _never_collect(self._coroutine)
        raise asyncio.CancelledError

    def close(self) -> None:
        self._cancel_timer()
        try:
            self._coroutine.close()
        except RuntimeError:  # "coroutine ignored GeneratorExit"
            _never_collect(self._coroutine)

    def _step(self, resume: Callable[[Any], Any], value: Any) -> Any:
        step = steps.enter(self._owner)
        try:
            return resume(value)
        except StopIteration:
            self._cancel_timer()
            raise
        except BaseException as error:
            self._cancel_timer()
            if (translated := as_exception(error)) is error:
                raise
            raise translated from error
        finally:
            steps.leave(step)

    def _cancel_again(self, task: asyncio.Task[Any]) -> None:
        self._timer = None
        if task.cancelling() < self._cancelling:  # it was an asyncio.timeout of its own, which is over
            self._deadline = None
            return
        self._is_cancelling_again = True
        task.cancel()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def guarded(owner: Owner, coroutine: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """The coroutine, guarded, to be awaited or made a task. Raises TypeError if it is no coroutine."""
    if not isinstance(coroutine, Coroutine):
        raise TypeError(f"expected a coroutine, found {type(coroutine).__name__}: write `async def`")
    return _Guarded(owner, coroutine)


def call_guarded(owner: Owner, function: Callable[..., T], *arguments: Any) -> T:
    """Call a plugin's synchronous function, guarded in the same way."""
    step = steps.enter(owner)
    try:
        return function(*arguments)
    except BaseException as error:
        if (translated := as_exception(error)) is error:
            raise
        raise translated from error
    finally:
        steps.leave(step)


def kernel_task(coroutine: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
    """A task that belongs to the hub, even if it is created within a plugin's step."""
    step, steps.current = steps.current, None
    try:
        return asyncio.create_task(coroutine, name=name)
    finally:
        steps.current = step


def task_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """The loop's task factory: a task created within a plugin's step belongs to the plugin, and is guarded."""
    step = steps.current
    if step is None or not isinstance(coroutine, Coroutine):
        return asyncio.Task(coroutine, loop=loop, **options)
    if len(step.owner.tasks) >= MAX_TASKS:
        coroutine.close()
        raise DescribedError(f"has started {MAX_TASKS} tasks that still run; it leaks them")
    task: asyncio.Task[Any] = asyncio.Task(guarded(step.owner, coroutine), loop=loop, **options)
    step.owner.tasks.add(task)
    task.add_done_callback(step.owner.tasks.discard)
    return task


@contextmanager
def plugin_tasks_owned() -> Iterator[None]:
    """Within it, each new task on the running loop belongs to the plugin whose step creates it."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(task_factory)
    try:
        yield
    finally:
        loop.set_task_factory(before)


def as_exception(error: BaseException) -> BaseException:
    """A plugin's exception as an ordinary Exception. A CancelledError stays one if the task is being cancelled."""
    if isinstance(error, Exception):
        return error
    if isinstance(error, BlockedInterrupt):
        return PluginBlockedError(str(error)).with_traceback(error.__traceback__)
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task() if asyncio._get_running_loop() else None  # noqa: SLF001 (None outside a loop)
        if task is not None and task.cancelling():
            return error
    return PluginRaisedError(f"raised {type(error).__name__}").with_traceback(error.__traceback__)
