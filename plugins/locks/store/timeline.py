"""Commands, access requests and reports of doors in one timeline."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, select

from plugins.locks.models import Result
from plugins.locks.store.tables import command, event

USUAL = timedelta(minutes=2)


@dataclass(frozen=True)
class Entry:
    """`what` is a command's verb or an event's kind; `why` the reason of a refusal; `reason` what a person wrote."""

    at: datetime
    """By the hub's clock, which orders and limits entries; `door_time`: by the door's clock, for its events."""
    door: str
    id: str
    what: str
    is_command: bool
    result: Result | None
    why: str | None
    actor: str | None
    reason: str
    credential: str | None
    count: int
    audit: int | None
    detail: dict[str, Any]
    door_time: datetime | None = None

    @property
    def happened_at(self) -> datetime:
        return self.door_time or self.at

    @property
    def is_odd(self) -> bool:
        """The door's time is far from the time of receipt: its clock is wrong, or the event waited in its journal."""
        return self.door_time is not None and abs(self.at - self.door_time) > USUAL


def passages(
    connection: Connection,
    *,
    door: str | None = None,
    credentials: Collection[str] | None = None,
    first: datetime | None = None,
    before: datetime | None = None,
    without: Collection[str] = (),
    limit: int = 50,
) -> list[Entry]:
    """The newest first: of one door or all, by some credentials or all, from `first` until `before`, not included.

    `without` some kinds of events.
    """

    def narrowed(query: Select[Any], at: Any, table: Any) -> Select[Any]:
        if door is not None:
            query = query.where(table.c.door == door)
        if credentials is not None:
            query = query.where(table.c.credential.in_(list(credentials)))
        if first is not None:
            query = query.where(at >= first)
        if before is not None:
            query = query.where(at < before)
        return query.order_by(at.desc()).limit(limit)

    commands = connection.execute(narrowed(select(command), command.c.asked_at, command))
    wanted = select(event).where(event.c.kind.not_in(without)) if without else select(event)
    events = connection.execute(narrowed(wanted, event.c.received_at, event))
    found = [_of_command(row) for row in commands] + [_of_event(row) for row in events]
    return sorted(found, key=lambda entry: entry.at, reverse=True)[:limit]


def _of_command(row: Any) -> Entry:
    return Entry(
        at=row.asked_at, door=row.door, id=row.id, what=row.verb, is_command=True, result=row.outcome,
        why=row.why or row.outcome_reason, actor=row.actor, reason=row.reason, credential=row.credential, count=1,
        audit=row.audit, detail=row.detail or {},
    )  # fmt: skip


def _of_event(row: Any) -> Entry:
    return Entry(
        at=row.received_at, door_time=row.happened_at, door=row.door, id=row.id, what=row.kind, is_command=False,
        result=None, why=row.reason, actor=None, reason="", credential=row.credential, count=row.count, audit=None,
        detail=row.detail or {},
    )  # fmt: skip
