"""How deep a message is nested: a limit of our own, as Python's differs by version and shows as an error of ours."""

from collections.abc import Iterable
from typing import Any

MOST_LEVELS = 64


def is_too_deep(raw: bytes, value: Any) -> bool:
    """Whether `value`, as read from the JSON `raw`, has more than MOST_LEVELS objects and lists in one another."""
    if raw.count(b"[") + raw.count(b"{") <= MOST_LEVELS:
        return False
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [one for outer in level for one in _inside(outer)]
    return any(isinstance(one, dict | list) for one in level)


def _inside(outer: Any) -> Iterable[Any]:
    if isinstance(outer, dict):
        return outer.values()
    return outer if isinstance(outer, list) else ()
