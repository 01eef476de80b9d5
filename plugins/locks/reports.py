"""What doors report: taken in order and without gaps; what is missing is an alarm, and never silently skipped."""

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from devices.contract import door
from hub.plugin import Context
from hub.store import now
from plugins.locks import rows

log = structlog.get_logger("locks")


@dataclass
class _Journal:
    """`last` is the number of the latest event that was taken, of the journal `mark`."""

    mark: str
    last: int


class Reports:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._journals: dict[str, _Journal] = {}
        self.came = asyncio.Event()

    async def load(self) -> None:
        for door_id, position in (await self._context.store.read(rows.doors)).items():
            self._journals[door_id] = _Journal(position.mark, position.last_event)

    async def take(self, event: door.Event) -> bool:
        """Durable when True: the door may have its receipt. False: it comes too early, and comes again in its turn."""
        journal = self._journals.setdefault(event.door, _Journal("", 0))
        if event.n > journal.last + 1:
            return False
        is_new = event.n == journal.last + 1
        if is_new:
            journal.last = event.n  # at once: the next one is handled before this one is committed

        def write(connection: Connection) -> None:
            if rows.report(connection, event, now()):
                self._context.touch(connection, "doors")
            if is_new:
                rows.keep_last_event(connection, event.door, journal.mark, event.n)

        try:
            await self._context.store.write(write)
        except Exception:
            journal.last = min(journal.last, event.n - 1)
            raise
        return True

    async def compare(self, state: door.State) -> None:
        """A state says which events still wait: what is neither here nor waiting there is lost."""
        journal = self._journals.setdefault(state.door, _Journal("", 0))
        oldest_to_come = state.waiting_from or state.newest + 1
        is_anew = bool(journal.mark) and state.mark != journal.mark
        missing = 0 if is_anew else oldest_to_come - 1 - journal.last
        is_rewound = not is_anew and state.newest < journal.last
        if journal.mark == state.mark and missing <= 0 and not is_rewound:
            return
        was_known = bool(journal.mark)
        problem = "journal_anew" if is_anew else "events_missing" if missing > 0 else "journal_rewound"
        journal.mark, journal.last = state.mark, oldest_to_come - 1
        at = now()

        def write(connection: Connection) -> None:
            rows.keep_last_event(connection, state.door, journal.mark, journal.last)
            if was_known:
                rows.notice(connection, state.door, problem, max(missing, 1), at)
                self._context.touch(connection, "doors")

        if was_known:
            log.error(problem, door=state.door, count=max(missing, 1))
        await self._context.store.write(write)
