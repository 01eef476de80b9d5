"""Limits of a device's template: time, and the size of every value it computes."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import wraps
from typing import Any

from jinja2 import Undefined

from hub.entities.templating.words import TemplateError, TooSlowError

RENDER_SECONDS = 0.02
MAX_ITEMS = 10_000
MAX_CHARACTERS = 131_072
MAX_BITS = 4096
MAX_TOTAL_SIZE = 1_000_000
"""Characters and items of all values that one rendering computes."""
LONGEST_ARGUMENT = 64
SCALARS = (str, int, float, bool, type(None))


class Meter:
    """Rendering is synchronous, so all templates share one meter.

    It measures the thread's own time: other load on the machine does not count.
    """

    def __init__(self) -> None:
        self._end = 0.0
        self._total_size = 0

    def start(self) -> None:
        self._end = time.thread_time() + RENDER_SECONDS
        self._total_size = 0

    def check(self) -> None:
        if time.thread_time() > self._end:
            raise TooSlowError(f"it takes more than {RENDER_SECONDS * 1000:.0f} ms")

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            if number > MAX_ITEMS:
                raise TooSlowError(f"it takes more than {MAX_ITEMS} turns")
            self.check()
            yield item

    def sized(self, value: Any) -> Any:
        """The value, if all that it contains, counted at each occurrence, is not too large. Raises TemplateError."""
        if isinstance(value, Iterator):
            return self.counted(value)
        items = characters = 0
        waiting = [value]
        while waiting:
            item = waiting.pop()
            items += 1
            characters += len(item) if isinstance(item, str) else 0
            waiting += _inside(item)
            if items + len(waiting) > MAX_ITEMS + 1 or characters > MAX_CHARACTERS:
                raise TemplateError("it makes too large a list or text")
        self._count(items + characters)
        return value

    def checked(self, value: Any) -> Any:
        self.check()
        return value

    def finalized(self, value: Any) -> Any:
        """Jinja's `finalize`: refuse functions, whose text would contain a memory address."""
        if callable(value) and not isinstance(value, Undefined):
            raise TemplateError("a function is no value")
        return value

    def _count(self, size: int) -> None:
        self._total_size += size
        if self._total_size > MAX_TOTAL_SIZE:
            raise TooSlowError("it makes too much on the way")

    def concatenated(self, parts: list[Any]) -> str:
        """`~`."""
        texts = [str(self.sized(part)) for part in parts]
        if sum(map(len, texts)) > MAX_CHARACTERS:
            raise TemplateError("it makes too long a text")
        return "".join(texts)

    def metering(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with a check of the time before the call and of the size of the result."""

        @wraps(function)
        def metered(*arguments: Any, **named: Any) -> Any:
            self.check()
            return self.sized(function(*arguments, **named))

        return metered

    def limiting_names(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `metering`, for Jinja's filters that take names of attributes, tests and filters: names must be short."""

        @wraps(function)
        def metered(scope: Any, values: Any, *arguments: Any, **named: Any) -> Any:
            self.check()
            for argument in (*arguments, *named.values()):
                if isinstance(argument, str) and len(argument) > LONGEST_ARGUMENT:
                    raise TemplateError(f"a name has at most {LONGEST_ARGUMENT} characters")
            return self.sized(function(scope, values, *arguments, **named))

        return metered


def _inside(value: Any) -> Collection[Any]:
    if isinstance(value, SCALARS):
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
        if abs(right) > MAX_BITS or int(left).bit_length() * abs(right) > MAX_BITS:
            raise TemplateError("it computes with too large a number")
    elif operator == "*" and numbers:
        if int(left).bit_length() + int(right).bit_length() > MAX_BITS:
            raise TemplateError("it computes with too large a number")
    elif operator == "*":
        sequence, times = (left, right) if isinstance(right, int) else (right, left)
        if not isinstance(times, int) or len(sequence) * max(times, 0) > MAX_ITEMS:
            raise TemplateError("it makes too long a list or text")
    elif operator == "%":
        raise TemplateError("`%` does not format here; use `~` and `round`")
    elif operator == "**":
        raise TemplateError("`**` takes numbers")
