"""Reads and writes commands, outcomes and reports; functions on a connection."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, func, insert, select, update

from devices.contract.door import Event, State
from devices.contract.payload import new_id
from hub.plugin import audit, delete_part
from plugins.locks.models import Command, Order, Report, Result
from plugins.locks.store.tables import command, door, event

AT_READER = "reader"
"""The actor of access requests; the credential's pseudonym is stored beside it."""


@dataclass(frozen=True)
class Position:
    """A door's key and its position: states by (boot, seq), events by their number in the journal `mark`."""

    verify_key: str
    boot: int
    seq: int
    mark: str
    last_event: int


def is_known(connection: Connection, command_id: str) -> bool:
    return connection.execute(select(command.c.id).where(command.c.id == command_id)).first() is not None


def is_of(connection: Connection, command_id: str, door_id: str) -> bool:
    """Whether it is a command for this door."""
    mine = (command.c.id == command_id) & (command.c.door == door_id)
    return connection.execute(select(command.c.id).where(mine)).first() is not None


def intend(connection: Connection, row: dict[str, Any], order: Order) -> int:
    """Record the intent with its audit entry (I5); the entry's number.

    `row`: id, door, actor, reason, asked_at, and for access requests credential and detail. A denial moves nothing, so
    its outcome is recorded at once.
    """
    details = {"command": row["id"], "verb": order.verb, "reason": row["reason"], "why": order.why}
    shown = {"credential": row.get("credential")} | (row.get("detail") or {})
    number = audit.record(
        connection, row["actor"], "door.intent", row["door"], details | (shown if row.get("detail") else {})
    )
    fields = {key: value for key, value in vars(order).items() if value is not None}
    signs = {"door": row["door"], "command": row["id"], **fields, "audit": number}
    ended = {"outcome": "done", "ended_at": row["asked_at"]} if order.verb == "deny" else {}
    values = {"credential": None, "detail": None, **vars(order), "pulse_ms": order.pulse_ms or 0}
    connection.execute(insert(command), values | row | ended | {"audit": number, "signs": orjson.dumps(signs).decode()})
    return number


def end(connection: Connection, command_id: str, result: Result, reason: str | None, at: datetime) -> bool:
    """Record the outcome, once; only "unknown" may be replaced by a door's late outcome."""
    is_open = command.c.outcome.is_(None)
    replaceable = is_open if result == "unknown" else is_open | (command.c.outcome == "unknown")
    done = connection.execute(
        update(command)
        .where(command.c.id == command_id, replaceable)
        .values(outcome=result, outcome_reason=reason, ended_at=at)
    )
    if done.rowcount:
        row = connection.execute(select(command.c.door).where(command.c.id == command_id)).one()
        audit.record(connection, row.door, "door.outcome", command_id, {"result": result, "reason": reason})
    return done.rowcount == 1


def open_commands(connection: Connection, before: datetime, after: datetime) -> list[tuple[str, str]]:
    """(door, command) without an outcome, from before `before`, or after `after` when the clock was set back."""
    is_open = command.c.outcome.is_(None) & ((command.c.asked_at < before) | (command.c.asked_at > after))
    return [(row.door, row.id) for row in connection.execute(select(command.c.door, command.c.id).where(is_open))]


def insert_report(connection: Connection, reported: Event, at: datetime) -> bool:
    """False when the event is stored already (I2)."""
    known = connection.execute(
        select(event.c.id).where(event.c.door == reported.door, event.c.id == reported.id)
    ).first()
    if known is not None:
        return False
    row: dict[str, Any] = {
        "door": reported.door,
        "id": reported.id,
        "kind": reported.kind,
        "reason": reported.reason,
        "count": reported.count,
        "happened_at": reported.happened_at,
        "received_at": at,
        "credential": reported.credential,
        "detail": detail_of(reported),
    }
    connection.execute(insert(event), row)
    details = {"reason": reported.reason, "count": reported.count, "credential": reported.credential} | row["detail"]
    audit.record(connection, reported.door, f"door.{reported.kind}", reported.id, details)
    return True


def insert_finding(connection: Connection, door_id: str, kind: str, count: int, at: datetime) -> None:
    """Store a finding of the hub about a door's journal among the door's events."""
    times = {"happened_at": at, "received_at": at}
    connection.execute(insert(event).values(door=door_id, id=new_id(), kind=kind, count=count, detail={}, **times))
    audit.record(connection, "hub", f"door.{kind}", door_id, {"count": count})


def detail_of(event: Event) -> dict[str, Any]:
    """The optional fields of an event that are set."""
    fields = ("reader", "side", "rule", "visit_pass", "shown", "is_duress", "passes_back")
    return {name: value for name in fields if (value := getattr(event, name))}


def save_position(connection: Connection, state: State) -> None:
    connection.execute(update(door).where(door.c.id == state.door).values(boot=state.boot, seq=state.seq))


def save_last_event(connection: Connection, door_id: str, mark: str, last: int) -> None:
    connection.execute(update(door).where(door.c.id == door_id).values(mark=mark, last_event=last))


def doors(connection: Connection) -> dict[str, Position]:
    columns = (door.c.id, door.c.verify_key, door.c.boot, door.c.seq, door.c.mark, door.c.last_event)
    return {row.id: Position(*row[1:]) for row in connection.execute(select(*columns))}


def latest_commands(
    connection: Connection, limit: int = 50, *, by: Literal["people", "reader"] | None = None
) -> list[Command]:
    """The newest first; `by` people, by requests at a reader, or both."""
    columns = [column for column in command.c if column.name != "signs"]
    query = select(*columns).order_by(command.c.asked_at.desc()).limit(limit)
    if by is not None:
        query = query.where((command.c.actor == AT_READER) if by == "reader" else (command.c.actor != AT_READER))
    rows = connection.execute(query)
    return [Command(**row._asdict()) for row in rows]


def latest_reports(connection: Connection, limit: int = 50, *, without: Collection[str] = ()) -> list[Report]:
    query = select(event).where(event.c.kind.not_in(without)).order_by(event.c.received_at.desc()).limit(limit)
    return [Report(**row._asdict()) for row in connection.execute(query)]


def count_commands(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(command)).scalar_one()


def forget_part(connection: Connection, before: datetime) -> int:
    """Delete a batch of older rows; the number of deleted ones, 0 when there are none left."""
    return (
        delete_part(connection, event, event.c.received_at < before)
        or delete_part(connection, command, command.c.asked_at < before)
        or audit.erase_details(connection, "door.", before)
    )
