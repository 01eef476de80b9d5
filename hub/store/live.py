"""Live pages: an open page is notified that its subject has changed, and loads it again."""

import asyncio
import time
from collections.abc import AsyncIterator

MERGE_SECONDS = 0.05
"""Changes within this time are merged."""
MIN_INTERVAL_SECONDS = 0.5
"""A page is notified at most twice a second, since it sends a request each time."""


class Live:
    """Subjects are names such as `visits` or `devices`; notifications contain nothing else."""

    def __init__(self) -> None:
        self._watchers: set[_Watcher] = set()
        self.count = 0
        """Changes so far. A page that was rendered at a lower count than its stream begins with has missed some."""

    def touch(self, subject: str) -> None:
        self.count += 1
        for watcher in self._watchers:
            watcher.changed.add(subject)
            watcher.has_changes.set()

    async def changes(self, heartbeat_seconds: float = 15) -> AsyncIterator[set[str]]:
        """Sets of subjects as they change; an empty set every `heartbeat_seconds` of silence."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            while True:
                try:
                    async with asyncio.timeout(heartbeat_seconds):
                        await watcher.has_changes.wait()
                    await asyncio.sleep(MERGE_SECONDS)
                except TimeoutError:
                    yield set()
                    continue
                changed, watcher.changed = watcher.changed, set()
                watcher.has_changes.clear()
                sent_at = time.monotonic()
                yield changed
                await asyncio.sleep(max(0.0, sent_at + MIN_INTERVAL_SECONDS - time.monotonic()))
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.has_changes = asyncio.Event()
