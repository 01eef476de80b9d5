"""Events: what has happened, written in the same transaction as the thing itself, followed durably afterwards.

A follower has a place in the log that is kept in the store, so that a crash between "committed" and "told"
loses nothing: it goes on where it was. It may hear an event twice and must take it once.
An event carries ids, never personal data.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, delete, insert, select, update

from hub.store import Store, after_commit, now
from hub.tables import event, follower

log = structlog.get_logger("events")

AT_ONCE = 200
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
        self._waiting: dict[str, asyncio.Event] = {}

    def emit(self, connection: Connection, kind: str, subject: str, **data: Any) -> None:
        """Part of the caller's transaction. `kind` is `<plugin>.<what>`, `subject` an id."""
        connection.execute(insert(event), {"happened_at": now(), "kind": kind, "subject": subject, "data": data})
        after_commit(connection, self._wake)

    async def join(self, name: str) -> int:
        """The follower's place in the log; one that is new begins with what happens from now on."""
        return await self._store.write(lambda connection: _place(connection, name))

    async def follow(self, name: str, last: int, kinds: set[str], take: Callable[[Event], Awaitable[None]]) -> None:
        """Hand every event of these kinds after `last` to `take`, in order, for ever. Runs until cancelled.

        An event whose `take` raises is tried again with growing waits; the ones behind it wait.
        """
        ring = self._waiting.setdefault(name, asyncio.Event())
        while True:
            ring.clear()
            found = await self._store.read(lambda connection, last=last: _after(connection, last, kinds))  # type: ignore[misc]
            for one in found:
                await self._take(name, one, take)
                last = one.id
            if found:
                await self._store.write(lambda connection, last=last: _keep(connection, name, last))  # type: ignore[misc]
            else:
                await ring.wait()

    async def forget(self, before: datetime) -> None:
        await self._store.write(
            lambda connection: connection.execute(delete(event).where(event.c.happened_at < before))
        )

    def _wake(self) -> None:
        for ring in self._waiting.values():
            ring.set()

    async def _take(self, name: str, one: Event, take: Callable[[Event], Awaitable[None]]) -> None:
        wait = 1.0
        while True:
            try:
                return await take(one)
            except Exception as error:  # noqa: BLE001 (a follower is a plugin's; its failure is logged and tried again)
                log.warning(
                    "event_not_taken",
                    follower=name,
                    kind=one.kind,
                    error=type(error).__name__,
                    retry_seconds=wait,
                )
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def _place(connection: Connection, name: str) -> int:
    place = connection.execute(select(follower.c.last_event).where(follower.c.name == name)).scalar()
    if place is None:
        place = connection.execute(select(event.c.id).order_by(event.c.id.desc()).limit(1)).scalar() or 0
        connection.execute(insert(follower), {"name": name, "last_event": place})
    return place


def _after(connection: Connection, last: int, kinds: set[str]) -> list[Event]:
    rows = connection.execute(
        select(event).where(event.c.id > last, event.c.kind.in_(kinds)).order_by(event.c.id).limit(AT_ONCE)
    )
    return [Event(row.id, row.happened_at, row.kind, row.subject, row.data) for row in rows]


def _keep(connection: Connection, name: str, last: int) -> None:
    connection.execute(update(follower).where(follower.c.name == name).values(last_event=last))
