"""Somebody who is told of changes."""

import asyncio

from hub.entities.entity import Change

MOST_WAITING = 20_000


class Watcher:
    """Somebody who is told of changes. One that does not keep up loses the oldest, and `lost` says how many."""

    def __init__(self, components: frozenset[str], ids: frozenset[str]) -> None:
        self.lost = 0
        self._components = components
        self._ids = ids
        self._waiting: list[Change] = []
        self._ring = asyncio.Event()

    def tell(self, changes: list[Change]) -> None:
        if self._components:
            changes = [change for change in changes if change.entity.component in self._components]
        if self._ids:
            changes = [change for change in changes if change.entity.id in self._ids]
        if changes:
            self._waiting += changes
            if (over := len(self._waiting) - MOST_WAITING) > 0:
                self.lost += over
                del self._waiting[:over]
            self._ring.set()

    async def changes(self) -> list[Change]:
        """Those that have gathered, one at least."""
        await self._ring.wait()
        self._ring.clear()
        waiting, self._waiting = self._waiting, []
        return waiting
