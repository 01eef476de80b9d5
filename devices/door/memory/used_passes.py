"""Single-use passes that were used at this door, persisted until they expire."""

from collections.abc import Callable, Mapping
from datetime import datetime

import orjson

from devices.access.passes import Pass

NAME = "used_passes"
MOST = 1000
"""The oldest are dropped; the hub knows them all."""


class UsedPasses:
    def __init__(self, persisted: Mapping[str, str], clock: Callable[[], datetime | None]) -> None:
        """`clock`: None while the time cannot be trusted; then nothing expires."""
        self._clock = clock
        self._until: dict[str, int] = orjson.loads(persisted.get(NAME, "{}"))

    def has(self, shown: Pass) -> bool:
        return shown.id in self._until

    def use(self, shown: Pass) -> tuple[str, str] | None:
        """Mark a pass as used; the name and value to persist. None for a reusable pass."""
        if not shown.once:
            return None
        now = self._clock()
        left = [
            (name, until)
            for name, until in self._until.items()
            if name != shown.id and (now is None or until > now.timestamp())
        ]
        self._until = dict([*left, (shown.id, shown.until)][-MOST:])
        return NAME, orjson.dumps(self._until).decode()
