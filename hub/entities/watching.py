"""A queue of changes for one consumer."""

import asyncio

from hub.entities.entity import Change

MAX_QUEUED = 20_000


class Watcher:
    """Queues changes for one consumer. If it does not keep up, the oldest are dropped, and `lost` counts them."""

    def __init__(self, components: frozenset[str], ids: frozenset[str]) -> None:
        self.lost = 0
        self._components = components
        self._ids = ids
        self._queued: list[Change] = []
        self._has_queued = asyncio.Event()

    def notify(self, changes: list[Change]) -> None:
        if self._components:
            changes = [change for change in changes if change.entity.component in self._components]
        if self._ids:
            changes = [change for change in changes if change.entity.id in self._ids]
        if changes:
            self._queued += changes
            if (excess := len(self._queued) - MAX_QUEUED) > 0:
                self.lost += excess
                del self._queued[:excess]
            self._has_queued.set()

    async def changes(self) -> list[Change]:
        """Wait for changes; returns all that are queued, at least one."""
        await self._has_queued.wait()
        self._has_queued.clear()
        queued, self._queued = self._queued, []
        return queued
