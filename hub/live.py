"""Live pages: who looks at a page is told that its subject has changed, and asks for it again."""

import asyncio
from collections.abc import AsyncIterator

QUIET_SECONDS = 0.05
"""Changes within this time are told as one."""


class Live:
    """Subjects are words such as `visits` or `doors`; nothing about the change itself travels."""

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
                yield changed
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.ring = asyncio.Event()
