"""What a device's template may spend: time, and the size of everything that it makes on the way."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from hub.entities.template_words import TemplateError, TooSlowError

RENDER_SECONDS = 0.02
MOST_ITEMS = 10_000
MOST_CHARACTERS = 131_072
MOST_BITS = 4096
SIMPLE = (str, int, float, bool, type(None))


class Meter:
    """Rendering is synchronous, so one clock serves all templates."""

    def __init__(self) -> None:
        self._end = 0.0

    def start(self) -> None:
        self._end = time.perf_counter() + RENDER_SECONDS

    def check(self) -> None:
        if time.perf_counter() > self._end:
            raise TooSlowError(f"it takes more than {RENDER_SECONDS * 1000:.0f} ms")

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            if number > MOST_ITEMS:
                raise TooSlowError(f"it takes more than {MOST_ITEMS} turns")
            self.check()
            yield item

    def sized(self, value: Any) -> Any:
        """The value, when all that it holds, at every place where it holds it, is not too much."""
        if isinstance(value, SIMPLE):
            if isinstance(value, str) and len(value) > MOST_CHARACTERS:
                raise TemplateError("it makes too long a text")
            return value
        if isinstance(value, Iterator):
            return self.counted(value)
        items = characters = 0
        waiting = [value]
        while waiting:
            one = waiting.pop()
            items += 1
            if isinstance(one, str):
                characters += len(one)
            elif isinstance(one, dict):
                waiting += [*one.keys(), *one.values()]
            elif isinstance(one, list | tuple | set):
                waiting += one
            if items > MOST_ITEMS or characters > MOST_CHARACTERS or len(waiting) > MOST_ITEMS:
                raise TemplateError("it makes too large a list or text")
        return value

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
