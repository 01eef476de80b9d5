"""Events: what has happened, written in the same transaction as the thing itself, followed durably afterwards.

A follower has a place in the log that is kept in the store, so that a crash between "committed" and "told"
loses nothing: it goes on where it was. It may hear an event twice and must take it once.
An event that it cannot take is parked, with the later ones of the same subject behind it, and everything else goes on.
An event carries ids, never personal data.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, delete, func, insert, select, update

from hub.store.retention import delete_part, in_parts
from hub.store.store import Store, after_commit, now
from hub.store.tables import event, follower, parked_event

log = structlog.get_logger("events")

AT_ONCE = 25
"""Few, so that a long list of them never keeps the loop from a device for long."""
SIDE_BY_SIDE = 8
"""So many subjects, when a batch has failed and each is tried alone."""
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 600.0
MOST_PARKED = 100
"""With more subjects than that it is not the events that are bad: what they need is away, and nothing new is begun."""
GIVEN_UP_AFTER = timedelta(hours=24)
LEAST_ATTEMPTS = 10
"""A clock that jumps ahead gives nothing up."""


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    happened_at: datetime
    kind: str
    subject: str
    data: dict[str, Any]


Take = Callable[[list[Event]], Awaitable[None]]


@dataclass(slots=True)
class _Parked:
    """`due` is of the monotonic clock; after a start everything is."""

    event: Event
    attempts: int
    parked_at: datetime
    due: float

    @property
    def is_hopeless(self) -> bool:
        return self.attempts >= LEAST_ATTEMPTS and now() - self.parked_at > GIVEN_UP_AFTER


class Events:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.parked: dict[str, int] = {}
        """Follower → how many events it cannot take for now."""
        self.given_up: dict[str, int] = {}
        """Follower → how many events it never took."""
        self._rings: dict[str, list[asyncio.Event]] = {}
        self._watchers: set[asyncio.Event] = set()

    def emit(self, connection: Connection, kind: str, subjects: list[str], **data: Any) -> None:
        """Part of the caller's transaction: an event for each subject. `kind` is `<plugin>.<what>`, a subject an id."""
        at = now()
        rows = [{"happened_at": at, "kind": kind, "subject": subject, "data": data} for subject in subjects]
        connection.execute(insert(event), rows)
        for ring in self._rings.get(kind, ()):
            after_commit(connection, ring.set)
        after_commit(connection, self._tell_watchers)

    async def join(self, name: str) -> int:
        """The follower's place in the log; one that is new begins with what happens from now on."""
        return await self._store.write(lambda connection: _place(connection, name))

    async def follow(self, name: str, last: int, kinds: set[str], take: Take) -> None:
        """Hand the events of these kinds after `last` to `take`, in order, for ever. Runs until cancelled.

        They come as they have gathered, AT_ONCE at most. When `take` raises each subject is tried alone, and those that
        cannot be taken come again with growing waits for a day; what comes after them of the same subject waits.
        """
        ring = asyncio.Event()
        for kind in kinds:
            self._rings.setdefault(kind, []).append(ring)
        try:
            parked, given_up = await self._store.read(lambda connection: _parked(connection, name))
            self.given_up[name] = given_up
            nudge = asyncio.Event()
            retrying = asyncio.create_task(self._retry(name, parked, take, ring, nudge))
            try:
                while not retrying.done():
                    ring.clear()
                    self.parked[name] = len(parked)
                    stuck = {one.event.subject for one in parked}
                    found = []
                    if len(stuck) < MOST_PARKED:
                        found = await self._store.read(lambda connection, last=last: _after(connection, last, kinds))  # type: ignore[misc]
                    if found:
                        last = found[-1].id
                        parked += await self._take(name, found, stuck, take)
                        nudge.set()
                    else:
                        await ring.wait()
            finally:
                retrying.cancel()
                await asyncio.wait({retrying})
            retrying.result()  # it ends only by raising: the store is away
        finally:
            for kind in kinds:
                self._rings[kind].remove(ring)

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """Set whenever something has happened: for who looks at all kinds and keeps no place."""
        ring = asyncio.Event()
        self._watchers.add(ring)
        try:
            yield ring
        finally:
            self._watchers.discard(ring)

    async def span(self) -> tuple[int, int]:
        """The numbers of the oldest event that is kept and of the newest; (newest + 1, newest) when none is kept."""
        return await self._store.read(_span)

    async def after(self, last: int) -> list[Event]:
        """The next events of all kinds, AT_ONCE at most."""
        return await self._store.read(lambda connection: _after(connection, last, None))

    async def forget(self, before: datetime) -> None:
        """Not what is parked; and what was given up before is forgotten with its event."""
        given_up = parked_event.c.given_up_at
        await in_parts(self._store, lambda connection: delete_part(connection, parked_event, given_up < before))
        waiting = select(parked_event.c.event).where(given_up.is_(None))
        old = (event.c.happened_at < before) & event.c.id.not_in(waiting)
        await in_parts(self._store, lambda connection: delete_part(connection, event, old))

    def _tell_watchers(self) -> None:
        for ring in self._watchers:
            ring.set()

    async def _take(self, name: str, found: list[Event], stuck: set[str], take: Take) -> list[_Parked]:
        """Those that have to be parked, which is durable together with the follower's new place."""
        behind = {one.id: "Behind" for one in found if one.subject in stuck}
        ready = [one for one in found if one.id not in behind]
        failed = behind if await _taken(ready, take) is None else behind | await _failed(ready, take)
        at = now()
        parked = [one for one in found if one.id in failed]
        tries = {one.id: 0 if failed[one.id] == "Behind" else 1 for one in parked}
        rows = [
            {"follower": name, "event": one.id, "attempts": tries[one.id], "parked_at": at, "error": failed[one.id]}
            for one in parked
        ]

        def write(connection: Connection) -> None:
            if rows:
                connection.execute(insert(parked_event), rows)
            _keep(connection, name, found[-1].id)

        await self._store.write(write)
        if rows:
            log.warning("events_parked", follower=name, count=len(rows), error=str(rows[0]["error"]))
        return [_Parked(one, tries[one.id], at, time.monotonic() + FIRST_WAIT_SECONDS) for one in parked]

    async def _retry(
        self, name: str, parked: list[_Parked], take: Take, ring: asyncio.Event, nudge: asyncio.Event
    ) -> None:
        """Beside what is new: the oldest parked one of each subject when it is due. Runs until cancelled.

        Rings when something is over, and is nudged when something is parked.
        """
        try:
            while True:
                at = time.monotonic()
                oldest: dict[str, _Parked] = {}
                for one in parked:
                    oldest.setdefault(one.event.subject, one)
                due = [one for one in oldest.values() if one.due <= at][:SIDE_BY_SIDE]
                if due:
                    await asyncio.gather(*(self._try_again(name, one, parked, take) for one in due))
                    ring.set()
                    continue
                nudge.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(one.due for one in oldest.values()) - at if oldest else None):
                        await nudge.wait()
        finally:
            ring.set()

    async def _try_again(self, name: str, one: _Parked, parked: list[_Parked], take: Take) -> None:
        error = await _taken([one.event], take)
        one.attempts += 1
        wait = min(FIRST_WAIT_SECONDS * 2 ** min(one.attempts, 20), LONGEST_WAIT_SECONDS)
        one.due = time.monotonic() + wait
        is_over = error is None or one.is_hopeless
        await self._store.write(lambda connection: _note(connection, name, one, error))
        if not is_over:
            return
        parked.remove(one)
        if error is not None:
            self.given_up[name] += 1
            log.error("event_abandoned", follower=name, number=one.event.id, error=error)
        for later in parked:  # what they all needed is back, or it is the next one's turn
            if error is None or later.event.subject == one.event.subject:
                later.due = 0.0


def _place(connection: Connection, name: str) -> int:
    place = connection.execute(select(follower.c.last_event).where(follower.c.name == name)).scalar()
    if place is None:
        place = connection.execute(select(event.c.id).order_by(event.c.id.desc()).limit(1)).scalar() or 0
        connection.execute(insert(follower), {"name": name, "last_event": place})
    return place


def _parked(connection: Connection, name: str) -> tuple[list[_Parked], int]:
    """In order, and how many are given up."""
    mine = parked_event.c.follower == name
    columns = (event, parked_event.c.attempts, parked_event.c.parked_at)
    waiting = select(*columns).join(parked_event, parked_event.c.event == event.c.id)
    rows = connection.execute(waiting.where(mine, parked_event.c.given_up_at.is_(None)).order_by(event.c.id))
    found = [
        _Parked(Event(row.id, row.happened_at, row.kind, row.subject, row.data), row.attempts, row.parked_at, 0.0)
        for row in rows
    ]
    given_up = select(func.count()).select_from(parked_event).where(mine, parked_event.c.given_up_at.is_not(None))
    return found, connection.execute(given_up).scalar_one()


def _note(connection: Connection, name: str, one: _Parked, error: str | None) -> None:
    """How a parked one has fared."""
    mine = (parked_event.c.follower == name) & (parked_event.c.event == one.event.id)
    if error is None:
        connection.execute(delete(parked_event).where(mine))
        return
    values = {"attempts": one.attempts, "error": error, "given_up_at": now() if one.is_hopeless else None}
    connection.execute(update(parked_event).where(mine).values(**values))


async def _taken(events: list[Event], take: Take) -> str | None:
    """None, or what it raised: a follower is a plugin's, and its failure is its own."""
    try:
        if events:
            await take(events)
    except Exception as error:  # noqa: BLE001 (it is parked, logged and tried again)
        return type(error).__name__[:80]
    return None


async def _failed(events: list[Event], take: Take) -> dict[int, str]:
    """Each subject alone, some side by side: those that were not taken, and why."""
    subjects: dict[str, list[Event]] = {}
    for one in events:
        subjects.setdefault(one.subject, []).append(one)
    places = asyncio.Semaphore(SIDE_BY_SIDE)
    failed: dict[int, str] = {}

    async def alone(series: list[Event]) -> None:
        async with places:
            for number, one in enumerate(series):
                if (error := await _taken([one], take)) is not None:
                    failed[one.id] = error
                    failed.update({later.id: "Behind" for later in series[number + 1 :]})
                    return

    async with asyncio.TaskGroup() as group:
        for series in subjects.values():
            group.create_task(alone(series))
    return failed


def _after(connection: Connection, last: int, kinds: set[str] | None) -> list[Event]:
    query = select(event).where(event.c.id > last).order_by(event.c.id).limit(AT_ONCE)
    rows = connection.execute(query if kinds is None else query.where(event.c.kind.in_(kinds)))
    return [Event(row.id, row.happened_at, row.kind, row.subject, row.data) for row in rows]


def _keep(connection: Connection, name: str, last: int) -> None:
    connection.execute(update(follower).where(follower.c.name == name).values(last_event=last))


def _span(connection: Connection) -> tuple[int, int]:
    oldest, newest = connection.execute(select(func.min(event.c.id), func.max(event.c.id))).one()
    if newest is None:
        newest = connection.execute(select(func.max(follower.c.last_event))).scalar() or 0
        oldest = newest + 1
    return oldest, newest
