"""Events: what has happened, written in the same transaction as the thing itself, followed durably afterwards.

A follower has a place in the log that is kept in the store, so that a crash between "committed" and "told"
loses nothing: it goes on where it was. It may hear an event twice and must take it once.
An event carries ids, never personal data.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, delete, func, insert, select, update

from hub.store import Store, after_commit, now
from hub.tables import event, follower

log = structlog.get_logger("events")

AT_ONCE = 25
"""Few, so that a long list of them never keeps the loop from a kiosk or a door for long."""
LONGEST_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    happened_at: datetime
    kind: str
    subject: str
    data: dict[str, Any]


class Events:
    def __init__(self, store: Store) -> None:
        self._store = store
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

    async def follow(
        self, name: str, last: int, kinds: set[str], take: Callable[[list[Event]], Awaitable[None]]
    ) -> None:
        """Hand the events of these kinds after `last` to `take`, in order, for ever. Runs until cancelled.

        They come as they have gathered, AT_ONCE at most. When `take` raises it gets the same ones again, with growing
        waits; what comes after them waits.
        """
        ring = asyncio.Event()
        for kind in kinds:
            self._rings.setdefault(kind, []).append(ring)
        try:
            while True:
                ring.clear()
                found = await self._store.read(lambda connection, last=last: _after(connection, last, kinds))  # type: ignore[misc]
                if found:
                    await self._take(name, found, take)
                    last = found[-1].id
                    await self._store.write(lambda connection, last=last: _keep(connection, name, last))  # type: ignore[misc]
                else:
                    await ring.wait()
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
        await self._store.write(
            lambda connection: connection.execute(delete(event).where(event.c.happened_at < before))
        )

    def _tell_watchers(self) -> None:
        for ring in self._watchers:
            ring.set()

    async def _take(self, name: str, found: list[Event], take: Callable[[list[Event]], Awaitable[None]]) -> None:
        wait = 1.0
        while True:
            try:
                return await take(found)
            except Exception as error:  # noqa: BLE001 (a follower is a plugin's; its failure is logged and tried again)
                log.warning("events_not_taken", follower=name, error=type(error).__name__, retry_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def _place(connection: Connection, name: str) -> int:
    place = connection.execute(select(follower.c.last_event).where(follower.c.name == name)).scalar()
    if place is None:
        place = connection.execute(select(event.c.id).order_by(event.c.id.desc()).limit(1)).scalar() or 0
        connection.execute(insert(follower), {"name": name, "last_event": place})
    return place


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
