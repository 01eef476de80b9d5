"""The kernel's background tasks, each restarted when it fails.

A task that failed because of the store is restarted as soon as the store is available.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from hub.store.store import Store
from hub.store.trouble import in_store

log = structlog.get_logger("hub")

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 4.0
"""Short, since everything depends on these few parts."""
AFTER_STORE_SECONDS = 0.5
WELL_SECONDS = 10.0
"""A part that has run for so long has recovered."""


@dataclass(frozen=True)
class Condition:
    """The hub's health: `problems` maps each part to its problem, or None.

    `remarks`: what needs attention although the hub itself works.
    """

    problems: Callable[[], dict[str, str | None]]
    remarks: Callable[[], dict[str, str]]

    def in_words(self) -> dict[str, str]:
        return {part: problem or "ok" for part, problem in self.problems().items()} | self.remarks()


class Parts:
    """`problems`: part → problem, for parts that failed recently; `changed` is called when it changes."""

    def __init__(self, store: Store, changed: Callable[[], None]) -> None:
        self.problems: dict[str, str] = {}
        self._store = store
        self._changed = changed

    async def run(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run `work`, which should never end, and restart it whenever it does. Runs until cancelled."""
        wait = FIRST_WAIT_SECONDS
        while True:
            began = time.monotonic()
            try:
                well = asyncio.get_running_loop().call_later(WELL_SECONDS, self._recovered, name)
                try:
                    await work()
                finally:
                    well.cancel()
                log.error("part_ended", part=name)
                self._failed(name, "has ended")
            except Exception as error:  # logged, and retried
                if in_store(error):
                    log.warning("part_waiting_for_store", part=name)
                    await asyncio.sleep(AFTER_STORE_SECONDS)  # the store may not know of it, and be available
                    await self._store.wait_available()
                    continue
                log.exception("part_failed", part=name, retry_seconds=wait)
                self._failed(name, f"has failed ({type(error).__name__}) and is started again")
            if time.monotonic() - began > WELL_SECONDS:
                wait = FIRST_WAIT_SECONDS
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def _recovered(self, name: str) -> None:
        if self.problems.pop(name, None) is not None:
            self._changed()

    def _failed(self, name: str, problem: str) -> None:
        self.problems[name] = problem
        self._changed()
