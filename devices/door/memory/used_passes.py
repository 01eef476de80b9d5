"""Passes that are good once and have let somebody in here: remembered over restarts, until they run out anyway."""

from collections.abc import Callable, Mapping
from datetime import datetime

import orjson

from devices.access.passes import Pass

NAME = "used_passes"
MOST = 1000
"""The oldest are forgotten; the hub knows them all."""


class UsedPasses:
    def __init__(self, lasting: Mapping[str, str], clock: Callable[[], datetime | None]) -> None:
        """`clock`: None while the time of day is not to be trusted. Nothing has run out then."""
        self._clock = clock
        self._until: dict[str, int] = orjson.loads(lasting.get(NAME, "{}"))

    def has(self, shown: Pass) -> bool:
        return shown.id in self._until

    def use(self, shown: Pass) -> tuple[str, str] | None:
        """It has let somebody in: what is to be written. None for one that may be used again."""
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
