"""Events: written in the same transaction as the change itself, and delivered durably afterwards.

A follower's position in the log is stored, so that a crash between commit and delivery loses nothing. Delivery is at
least once: handlers must be idempotent. An event whose handler fails is parked, with later ones of the same subject
behind it, and everything else goes on. An event carries ids, never personal data.
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

BATCH_SIZE = 25
"""Few, so that handling a batch does not block the loop for long."""
CONCURRENT_SUBJECTS = 8
"""Subjects that are retried concurrently after a batch has failed."""
FIRST_WAIT_SECONDS = 1.0
MAX_WAIT_SECONDS = 600.0
MAX_PARKED_SUBJECTS = 100
"""With more parked subjects, no new events are delivered: what the handler needs is probably away."""
ABANDON_AFTER = timedelta(hours=24)
MIN_ATTEMPTS = 10
"""So that a clock that jumps ahead does not abandon events."""


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    happened_at: datetime
    kind: str
    subject: str
    data: dict[str, Any]


EventHandler = Callable[[list[Event]], Awaitable[None]]


@dataclass(slots=True)
class _Parked:
    """`due` is by the monotonic clock; after a start all are due."""

    event: Event
    attempts: int
    parked_at: datetime
    due: float

    @property
    def is_expired(self) -> bool:
        return self.attempts >= MIN_ATTEMPTS and now() - self.parked_at > ABANDON_AFTER


class Events:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.parked: dict[str, int] = {}
        """Follower → how many of its events are parked."""
        self.abandoned: dict[str, int] = {}
        """Follower → how many of its events were abandoned."""
        self._wakes: dict[str, list[asyncio.Event]] = {}
        self._watchers: set[asyncio.Event] = set()

    def emit(self, connection: Connection, kind: str, subjects: list[str], **data: Any) -> None:
        """Write an event for each subject in the caller's transaction.

        `kind` is `<plugin>.<what>`; a subject is an id.
        """
        at = now()
        rows = [{"happened_at": at, "kind": kind, "subject": subject, "data": data} for subject in subjects]
        connection.execute(insert(event), rows)
        for wake in self._wakes.get(kind, ()):
            after_commit(connection, wake.set)
        after_commit(connection, self._wake_watchers)

    async def join(self, name: str) -> int:
        """The follower's position in the log; a new follower starts at the end."""
        return await self._store.write(lambda connection: _read_position(connection, name))

    async def follow(self, name: str, last: int, kinds: set[str], handler: EventHandler) -> None:
        """Call `handler` with the events of these kinds after `last`, in order. Runs until cancelled.

        They come in batches of at most BATCH_SIZE. If `handler` raises, each subject is retried alone, and failing
        events are parked: retried with growing waits for a day, while later events of the same subject wait.
        """
        wake = asyncio.Event()
        for kind in kinds:
            self._wakes.setdefault(kind, []).append(wake)
        try:
            parked, abandoned = await self._store.read(lambda connection: _parked(connection, name))
            self.abandoned[name] = abandoned
            parked_changed = asyncio.Event()
            retrying = asyncio.create_task(self._retry(name, parked, handler, wake, parked_changed))
            try:
                while not retrying.done():
                    wake.clear()
                    self.parked[name] = len(parked)
                    parked_subjects = {one.event.subject for one in parked}
                    found = []
                    if len(parked_subjects) < MAX_PARKED_SUBJECTS:
                        found = await self._store.read(lambda connection, last=last: _after(connection, last, kinds))  # type: ignore[misc]
                    if found:
                        last = found[-1].id
                        parked += await self._deliver(name, found, parked_subjects, handler)
                        parked_changed.set()
                    else:
                        await wake.wait()
            finally:
                retrying.cancel()
                await asyncio.wait({retrying})
            retrying.result()  # it only ends by raising: the store is away
        finally:
            for kind in kinds:
                self._wakes[kind].remove(wake)

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """An asyncio.Event that is set at each new event, for readers of all kinds without a stored position."""
        wake = asyncio.Event()
        self._watchers.add(wake)
        try:
            yield wake
        finally:
            self._watchers.discard(wake)

    async def span(self) -> tuple[int, int]:
        """The numbers of the oldest stored event and of the newest; (newest + 1, newest) if none is stored."""
        return await self._store.read(_span)

    async def after(self, last: int) -> list[Event]:
        """The next events of all kinds, at most BATCH_SIZE."""
        return await self._store.read(lambda connection: _after(connection, last, None))

    async def forget(self, before: datetime) -> None:
        """Delete older events, except parked ones; abandoned ones are deleted with their event."""
        abandoned = parked_event.c.given_up_at
        await in_parts(self._store, lambda connection: delete_part(connection, parked_event, abandoned < before))
        waiting = select(parked_event.c.event).where(abandoned.is_(None))
        old = (event.c.happened_at < before) & event.c.id.not_in(waiting)
        await in_parts(self._store, lambda connection: delete_part(connection, event, old))

    def _wake_watchers(self) -> None:
        for wake in self._watchers:
            wake.set()

    async def _deliver(
        self, name: str, found: list[Event], parked_subjects: set[str], handler: EventHandler
    ) -> list[_Parked]:
        """Deliver events; those that fail are parked in the same transaction as the follower's new position."""
        blocked = {one.id: "Behind" for one in found if one.subject in parked_subjects}
        ready = [one for one in found if one.id not in blocked]
        failed = blocked if await _handled(ready, handler) is None else blocked | await _deliver_each(ready, handler)
        at = now()
        parked = [one for one in found if one.id in failed]
        attempts_made = {one.id: 0 if failed[one.id] == "Behind" else 1 for one in parked}
        rows = [
            {
                "follower": name,
                "event": one.id,
                "attempts": attempts_made[one.id],
                "parked_at": at,
                "error": failed[one.id],
            }
            for one in parked
        ]

        def write(connection: Connection) -> None:
            if rows:
                connection.execute(insert(parked_event), rows)
            _save_position(connection, name, found[-1].id)

        await self._store.write(write)
        if rows:
            log.warning("events_parked", follower=name, count=len(rows), error=str(rows[0]["error"]))
        return [_Parked(one, attempts_made[one.id], at, time.monotonic() + FIRST_WAIT_SECONDS) for one in parked]

    async def _retry(
        self,
        name: str,
        parked: list[_Parked],
        handler: EventHandler,
        wake: asyncio.Event,
        parked_changed: asyncio.Event,
    ) -> None:
        """Retry the oldest parked event of each subject when it is due. Runs until cancelled.

        Sets `wake` when one is done, and is woken by `parked_changed`.
        """
        try:
            while True:
                at = time.monotonic()
                oldest: dict[str, _Parked] = {}
                for entry in parked:
                    oldest.setdefault(entry.event.subject, entry)
                due = [entry for entry in oldest.values() if entry.due <= at][:CONCURRENT_SUBJECTS]
                if due:
                    await asyncio.gather(*(self._try_again(name, entry, parked, handler) for entry in due))
                    wake.set()
                    continue
                parked_changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(entry.due for entry in oldest.values()) - at if oldest else None):
                        await parked_changed.wait()
        finally:
            wake.set()

    async def _try_again(self, name: str, entry: _Parked, parked: list[_Parked], handler: EventHandler) -> None:
        error = await _handled([entry.event], handler)
        entry.attempts += 1
        wait = min(FIRST_WAIT_SECONDS * 2 ** min(entry.attempts, 20), MAX_WAIT_SECONDS)
        entry.due = time.monotonic() + wait
        is_over = error is None or entry.is_expired
        await self._store.write(lambda connection: _save_attempt(connection, name, entry, error))
        if not is_over:
            return
        parked.remove(entry)
        if error is not None:
            self.abandoned[name] += 1
            log.error("event_abandoned", follower=name, number=entry.event.id, error=error)
        for later in parked:  # the handler works again, or it is the next one's turn
            if error is None or later.event.subject == entry.event.subject:
                later.due = 0.0


def _read_position(connection: Connection, name: str) -> int:
    place = connection.execute(select(follower.c.last_event).where(follower.c.name == name)).scalar()
    if place is None:
        place = connection.execute(select(event.c.id).order_by(event.c.id.desc()).limit(1)).scalar() or 0
        connection.execute(insert(follower), {"name": name, "last_event": place})
    return place


def _parked(connection: Connection, name: str) -> tuple[list[_Parked], int]:
    """The parked events in order, and how many were abandoned."""
    mine = parked_event.c.follower == name
    columns = (event, parked_event.c.attempts, parked_event.c.parked_at)
    waiting = select(*columns).join(parked_event, parked_event.c.event == event.c.id)
    rows = connection.execute(waiting.where(mine, parked_event.c.given_up_at.is_(None)).order_by(event.c.id))
    found = [
        _Parked(Event(row.id, row.happened_at, row.kind, row.subject, row.data), row.attempts, row.parked_at, 0.0)
        for row in rows
    ]
    abandoned = select(func.count()).select_from(parked_event).where(mine, parked_event.c.given_up_at.is_not(None))
    return found, connection.execute(abandoned).scalar_one()


def _save_attempt(connection: Connection, name: str, entry: _Parked, error: str | None) -> None:
    """Store the outcome of an attempt to deliver a parked event."""
    mine = (parked_event.c.follower == name) & (parked_event.c.event == entry.event.id)
    if error is None:
        connection.execute(delete(parked_event).where(mine))
        return
    values = {"attempts": entry.attempts, "error": error, "given_up_at": now() if entry.is_expired else None}
    connection.execute(update(parked_event).where(mine).values(**values))


async def _handled(events: list[Event], handler: EventHandler) -> str | None:
    """Call the handler; the name of the exception that it raised, or None."""
    try:
        if events:
            await handler(events)
    except Exception as error:  # noqa: BLE001 (it is parked, logged and tried again)
        return type(error).__name__[:80]
    return None


async def _deliver_each(events: list[Event], handler: EventHandler) -> dict[int, str]:
    """Deliver each subject alone, some concurrently. Event id → error, for those that failed."""
    subjects: dict[str, list[Event]] = {}
    for one in events:
        subjects.setdefault(one.subject, []).append(one)
    slots = asyncio.Semaphore(CONCURRENT_SUBJECTS)
    failed: dict[int, str] = {}

    async def deliver_series(series: list[Event]) -> None:
        async with slots:
            for number, one in enumerate(series):
                if (error := await _handled([one], handler)) is not None:
                    failed[one.id] = error
                    failed.update({later.id: "Behind" for later in series[number + 1 :]})
                    return

    async with asyncio.TaskGroup() as group:
        for series in subjects.values():
            group.create_task(deliver_series(series))
    return failed


def _after(connection: Connection, last: int, kinds: set[str] | None) -> list[Event]:
    query = select(event).where(event.c.id > last).order_by(event.c.id).limit(BATCH_SIZE)
    rows = connection.execute(query if kinds is None else query.where(event.c.kind.in_(kinds)))
    return [Event(row.id, row.happened_at, row.kind, row.subject, row.data) for row in rows]


def _save_position(connection: Connection, name: str, last: int) -> None:
    connection.execute(update(follower).where(follower.c.name == name).values(last_event=last))


def _span(connection: Connection) -> tuple[int, int]:
    oldest, newest = connection.execute(select(func.min(event.c.id), func.max(event.c.id))).one()
    if newest is None:
        newest = connection.execute(select(func.max(follower.c.last_event))).scalar() or 0
        oldest = newest + 1
    return oldest, newest
