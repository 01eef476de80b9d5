"""Events of doors, accepted in order and without gaps; missing ones raise an alarm and are never silently skipped."""

from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from devices.contract import door
from hub.plugin import Context, now
from plugins.locks.history.alarms import Alarms
from plugins.locks.store import pass_rows, rows

log = structlog.get_logger("locks")


@dataclass
class _Journal:
    """`last`: number of the latest accepted event in the journal `mark` of the door with this key."""

    mark: str
    last: int
    key: str = ""


@dataclass(frozen=True)
class Finding:
    """Where a journal continues; `problem`: what is wrong with it, if anything, and `count`: for how many events."""

    door: str
    problem: str | None
    count: int
    mark: str
    last: int


class Reports:
    def __init__(self, context: Context, alarms: Alarms) -> None:
        self._context = context
        self._alarms = alarms
        self._journals: dict[str, _Journal] = {}

    async def load(self) -> None:
        """Read positions of new doors and those enrolled anew; memory is ahead of the store for the others."""
        for door_id, position in (await self._context.store.read(rows.doors)).items():
            known = self._journals.get(door_id)
            if known is None or known.key != position.verify_key:
                self._journals[door_id] = _Journal(position.mark, position.last_event, position.verify_key)

    async def receive(self, event: door.Event) -> bool:
        """True: committed, so the door may get its receipt. False: out of order, the door resends it in its turn."""
        journal = self._journals.setdefault(event.door, _Journal("", 0))
        if event.n > journal.last + 1:
            return False
        is_new = event.n == journal.last + 1
        if is_new:
            journal.last = event.n  # at once: the next one is handled before this one is committed

        def write(connection: Connection) -> None:
            at = now()  # alarms, retention and order go by our clock: the door's may be wrong
            if rows.insert_report(connection, event, at):
                self._context.touch(connection, "doors")
                if event.kind == "granted" and event.visit_pass:
                    pass_rows.use(connection, event.visit_pass, event.door, at)
                for kind in _kinds(event):
                    self._alarms.record(connection, event.door, kind, at, event.count)
            if is_new:
                rows.save_last_event(connection, event.door, journal.mark, event.n)

        try:
            await self._context.store.write(write)
        except Exception:
            journal.last = min(journal.last, event.n - 1)
            raise
        return True

    def compare(self, state: door.State) -> Finding | None:
        """Find events that are lost: neither accepted here nor, by the state, still waiting at the door."""
        journal = self._journals.setdefault(state.door, _Journal("", 0))
        oldest_to_come = state.waiting_from or state.newest + 1
        was_known = bool(journal.mark)
        is_anew = was_known and state.mark != journal.mark
        missing = 0 if is_anew else oldest_to_come - 1 - journal.last
        is_rewound = not is_anew and state.newest < journal.last
        if journal.mark == state.mark and missing <= 0 and not is_rewound:
            return None
        first_here = 0 if was_known else journal.last  # an event may have come before the first state
        journal.mark, journal.last = state.mark, max(oldest_to_come - 1, first_here)
        if not was_known:
            return Finding(state.door, None, 0, journal.mark, journal.last)
        problem = "journal_anew" if is_anew else "events_missing" if missing > 0 else "journal_rewound"
        return Finding(state.door, problem, max(missing, 1), journal.mark, journal.last)

    async def save(self, finding: Finding) -> None:
        def write(connection: Connection) -> None:
            rows.save_last_event(connection, finding.door, finding.mark, finding.last)
            if finding.problem:
                rows.insert_finding(connection, finding.door, finding.problem, finding.count, now())
                self._alarms.record(connection, finding.door, finding.problem, now(), finding.count)
                self._context.touch(connection, "doors")

        if finding.problem:
            log.error(finding.problem, door=finding.door, count=finding.count)
        await self._context.store.write(write)


def _kinds(event: door.Event) -> Iterator[str]:
    """The kinds of alarm that an event may raise."""
    yield event.kind
    if event.is_duress:
        yield "duress"
    if event.passes_back:
        yield "passes_back"
