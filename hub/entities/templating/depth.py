"""How deep a message is nested. The limit is our own, since Python's differs by version."""

from collections.abc import Iterable
from typing import Any

MAX_LEVELS = 64


def is_too_deep(raw: bytes, value: Any) -> bool:
    """Whether `value`, as read from the JSON `raw`, has more than MAX_LEVELS objects and lists in one another."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_LEVELS:
        return False
    level = [value]
    for _ in range(MAX_LEVELS):
        level = [item for outer in level for item in _inside(outer)]
    return any(isinstance(item, dict | list) for item in level)


def _inside(outer: Any) -> Iterable[Any]:
    if isinstance(outer, dict):
        return outer.values()
    return outer if isinstance(outer, list) else ()
