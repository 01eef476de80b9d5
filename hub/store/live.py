"""Live pages: who looks at a page is told that its subject has changed, and asks for it again."""

import asyncio
import time
from collections.abc import AsyncIterator

QUIET_SECONDS = 0.05
"""Changes within this time are told as one."""
LEAST_SECONDS = 0.5
"""A page is told at most twice a second, however much goes on: it asks for its part each time."""


class Live:
    """Subjects are words such as `visits` or `devices`; nothing about the change itself travels."""

    def __init__(self) -> None:
        self._watchers: set[_Watcher] = set()
        self.count = 0
        """Changes so far. A page that was made at a lower count than its stream begins with has missed some."""

    def touch(self, subject: str) -> None:
        self.count += 1
        for watcher in self._watchers:
            watcher.changed.add(subject)
            watcher.ring.set()

    async def changes(self, heartbeat_seconds: float = 15) -> AsyncIterator[set[str]]:
        """Sets of subjects as they change; an empty set every `heartbeat_seconds` of silence."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            while True:
                try:
                    async with asyncio.timeout(heartbeat_seconds):
                        await watcher.ring.wait()
                    await asyncio.sleep(QUIET_SECONDS)
                except TimeoutError:
                    yield set()
                    continue
                changed, watcher.changed = watcher.changed, set()
                watcher.ring.clear()
                told_at = time.monotonic()
                yield changed
                await asyncio.sleep(max(0.0, told_at + LEAST_SECONDS - time.monotonic()))
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.ring = asyncio.Event()
