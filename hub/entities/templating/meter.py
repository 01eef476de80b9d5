"""What a device's template may spend: time, and the size of everything that it makes on the way."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import wraps
from typing import Any

from jinja2 import Undefined

from hub.entities.templating.words import TemplateError, TooSlowError

RENDER_SECONDS = 0.02
MOST_ITEMS = 10_000
MOST_CHARACTERS = 131_072
MOST_BITS = 4096
MOST_MADE = 1_000_000
"""Characters and items of all that one rendering makes on the way."""
LONGEST_ARGUMENT = 64
SIMPLE = (str, int, float, bool, type(None))


class Meter:
    """Rendering is synchronous, so one clock serves all templates.

    It is the thread's own time: that the machine was busy elsewhere is no template's fault.
    """

    def __init__(self) -> None:
        self._end = 0.0
        self._made = 0

    def start(self) -> None:
        self._end = time.thread_time() + RENDER_SECONDS
        self._made = 0

    def check(self) -> None:
        if time.thread_time() > self._end:
            raise TooSlowError(f"it takes more than {RENDER_SECONDS * 1000:.0f} ms")

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            if number > MOST_ITEMS:
                raise TooSlowError(f"it takes more than {MOST_ITEMS} turns")
            self.check()
            yield item

    def sized(self, value: Any) -> Any:
        """The value, when all that it holds, at every place where it holds it, is not too much."""
        if isinstance(value, Iterator):
            return self.counted(value)
        items = characters = 0
        waiting = [value]
        while waiting:
            one = waiting.pop()
            items += 1
            characters += len(one) if isinstance(one, str) else 0
            waiting += _inside(one)
            if items + len(waiting) > MOST_ITEMS + 1 or characters > MOST_CHARACTERS:
                raise TemplateError("it makes too large a list or text")
        self._count(items + characters)
        return value

    def checked(self, value: Any) -> Any:
        self.check()
        return value

    def shown(self, value: Any) -> Any:
        """What stands in the result: a function would show where it lies in memory."""
        if callable(value) and not isinstance(value, Undefined):
            raise TemplateError("a function is no value")
        return value

    def _count(self, made: int) -> None:
        self._made += made
        if self._made > MOST_MADE:
            raise TooSlowError("it makes too much on the way")

    def concatenated(self, parts: list[Any]) -> str:
        """`~`."""
        texts = [str(self.sized(part)) for part in parts]
        if sum(map(len, texts)) > MOST_CHARACTERS:
            raise TemplateError("it makes too long a text")
        return "".join(texts)

    def spending(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, which looks at the clock first and at the size of what it made last."""

        @wraps(do)
        def metered(*arguments: Any, **named: Any) -> Any:
            self.check()
            return self.sized(do(*arguments, **named))

        return metered

    def choosing(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """As `spending`, for Jinja's filters that take names of attributes, tests and filters: those are short."""

        @wraps(do)
        def metered(scope: Any, values: Any, *arguments: Any, **named: Any) -> Any:
            self.check()
            for one in (*arguments, *named.values()):
                if isinstance(one, str) and len(one) > LONGEST_ARGUMENT:
                    raise TemplateError(f"a name has at most {LONGEST_ARGUMENT} characters")
            return self.sized(do(scope, values, *arguments, **named))

        return metered


def _inside(value: Any) -> Collection[Any]:
    if isinstance(value, SIMPLE):
        return ()
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set):
        return value
    if callable(value) and not isinstance(value, Undefined):
        raise TemplateError("a function is no value")
    return ()


METER = Meter()


def bounded(operator: str, left: Any, right: Any) -> None:
    """Before `*`, `**`, `+` and `%`, which could make something huge. Raises TemplateError."""
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if operator == "**" and numbers:
        if abs(right) > MOST_BITS or int(left).bit_length() * abs(right) > MOST_BITS:
            raise TemplateError("it computes with too large a number")
    elif operator == "*" and numbers:
        if int(left).bit_length() + int(right).bit_length() > MOST_BITS:
            raise TemplateError("it computes with too large a number")
    elif operator == "*":
        sequence, times = (left, right) if isinstance(right, int) else (right, left)
        if not isinstance(times, int) or len(sequence) * max(times, 0) > MOST_ITEMS:
            raise TemplateError("it makes too long a list or text")
    elif operator == "%":
        raise TemplateError("`%` does not format here; use `~` and `round`")
    elif operator == "**":
        raise TemplateError("`**` takes numbers")
