"""Plugin code on the loop: whose it is and since when, and how it ends when it does not end by itself.

All that the hub awaits of a plugin runs inside `guarded(owner, coroutine)`. It marks each step (from one await to the
next), so that the watchdog knows who holds the loop and since when; what the plugin raises comes out as an ordinary
Exception, SystemExit too; and a coroutine that goes on after it was cancelled is cancelled again, and then dropped.
docs/decisions/0010-interrupting-plugins.md says why.
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

INSISTENCE = 20
MOST_TASKS = 500
"""So many may one plugin have at once; more is a leak."""


class Owner(Protocol):
    """A plugin, as the guard and the watchdog need to know it."""

    name: str
    is_ours: bool
    folder: Path | None
    tasks: "set[asyncio.Task[Any]]"

    @property
    def step_seconds(self) -> float:
        """How long one step may hold the loop before it is interrupted."""

    @property
    def grace_seconds(self) -> float:
        """How long a cancelled coroutine may still clean up."""


class BlockedInterrupt(BaseException):
    """Thrown by the watchdog into plugin code that holds the loop. No `except Exception` of the plugin's catches it."""


class PluginBlockedError(Exception):
    """A step of a plugin held the loop for too long and was interrupted. The watchdog has counted it already."""


class SaidError(Exception):
    """A plugin's failure in words of ours, which hold nothing personal and may be shown."""


class PluginRaisedError(Exception):
    """A plugin raised what only an interpreter or a canceller may: SystemExit, KeyboardInterrupt, CancelledError …"""


class Step:
    """One step of one plugin."""

    __slots__ = ("began", "outer", "owner")

    def __init__(self, owner: Owner, outer: "Step | None") -> None:
        self.owner = owner
        self.outer = outer
        self.began = time.monotonic()


class Steps:
    """What plugin code is on the loop's stack now. Written by the loop's thread, read by the watchdog's."""

    def __init__(self) -> None:
        self.current: Step | None = None

    def enter(self, owner: Owner) -> Step:
        step = self.current = Step(owner, self.current)
        return step

    def leave(self, step: Step) -> None:
        """The time of an inner plugin's step is not its asker's."""
        outer = self.current = step.outer
        if outer is not None:
            outer.began += time.monotonic() - step.began


steps = Steps()
"""The interpreter has one stack on which a loop runs, so there is one of it."""


def _never_collect(coroutine: object) -> None:
    """What neither cancelling nor closing ends would run on in its finaliser, without a loop, and never end."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


class _Guarded(Coroutine[Any, Any, T]):
    __slots__ = ("_cancelling", "_coroutine", "_deadline", "_insists", "_owner", "_timer")

    def __init__(self, owner: Owner, coroutine: Coroutine[Any, Any, T]) -> None:
        self._owner = owner
        self._coroutine = coroutine
        self._cancelling = 0
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._insists = False

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
        if self._insists:
            self._insists = False
            task.uncancel()  # it was our own
        yielded = self._step(self._coroutine.throw, error)
        # It came back to an await: it cleans up, or has a time limit of its own, or ignores us.
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._cancelling, self._deadline = cancelling, loop.time() + self._owner.grace_seconds
            self._timer = loop.call_later(self._owner.grace_seconds, self._insist, task)
            return yielded
        if loop.time() < self._deadline:
            return yielded
        for _ in range(INSISTENCE):
            self._step(self._coroutine.throw, asyncio.CancelledError())
        self._ended()
        _never_collect(self._coroutine)
        raise asyncio.CancelledError

    def close(self) -> None:
        self._ended()
        try:
            self._coroutine.close()
        except RuntimeError:  # "coroutine ignored GeneratorExit"
            _never_collect(self._coroutine)

    def _step(self, move: Callable[[Any], Any], value: Any) -> Any:
        step = steps.enter(self._owner)
        try:
            return move(value)
        except StopIteration:
            self._ended()
            raise
        except BaseException as error:
            self._ended()
            if (told := ordinary(error)) is error:
                raise
            raise told from error
        finally:
            steps.leave(step)

    def _insist(self, task: asyncio.Task[Any]) -> None:
        self._timer = None
        if task.cancelling() < self._cancelling:  # the cancellation was its own (asyncio.timeout), and is over
            self._deadline = None
            return
        self._insists = True
        task.cancel()

    def _ended(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def guarded(owner: Owner, coroutine: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """Await it, or make a task of it. Raises TypeError when a plugin gave something that is no coroutine."""
    if not isinstance(coroutine, Coroutine):
        raise TypeError(f"expected a coroutine, found {type(coroutine).__name__}: write `async def`")
    return _Guarded(owner, coroutine)


def at_once(owner: Owner, call: Callable[..., T], *arguments: Any) -> T:
    """A plain function of a plugin's, marked and translated in the same way."""
    step = steps.enter(owner)
    try:
        return call(*arguments)
    except BaseException as error:
        if (told := ordinary(error)) is error:
            raise
        raise told from error
    finally:
        steps.leave(step)


def ours(coroutine: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
    """A task of the hub's own, also when a plugin's call led to it."""
    step, steps.current = steps.current, None
    try:
        return asyncio.create_task(coroutine, name=name)
    finally:
        steps.current = step


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """The loop's task factory: a task that begins within a plugin's step is that plugin's, and guarded."""
    step = steps.current
    if step is None or not isinstance(coroutine, Coroutine):
        return asyncio.Task(coroutine, loop=loop, **options)
    if len(step.owner.tasks) >= MOST_TASKS:
        coroutine.close()
        raise SaidError(f"has started {MOST_TASKS} tasks that still run; it leaks them")
    task: asyncio.Task[Any] = asyncio.Task(guarded(step.owner, coroutine), loop=loop, **options)
    step.owner.tasks.add(task)
    task.add_done_callback(step.owner.tasks.discard)
    return task


@contextmanager
def owned_tasks() -> Iterator[None]:
    """Within it, the running loop gives each task to the plugin that began it."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(make_task)
    try:
        yield
    finally:
        loop.set_task_factory(before)


def ordinary(error: BaseException) -> BaseException:
    """What a plugin raised, as an Exception that guards know. A cancellation stays one while somebody cancels."""
    if isinstance(error, Exception):
        return error
    if isinstance(error, BlockedInterrupt):
        return PluginBlockedError(str(error)).with_traceback(error.__traceback__)
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task() if asyncio._get_running_loop() else None  # noqa: SLF001 (None outside a loop)
        if task is not None and task.cancelling():
            return error
    return PluginRaisedError(f"raised {type(error).__name__}").with_traceback(error.__traceback__)
