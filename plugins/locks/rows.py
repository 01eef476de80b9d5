"""Commands, outcomes and reports in and out of their tables; plain functions on a connection."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from devices.contract.door import Event, State
from hub import audit
from plugins.locks.models import Command, Report, Result
from plugins.locks.tables import command, door, event


def intend(connection: Connection, row: dict[str, Any]) -> int:
    """Commit to the intent, with its line in the audit log (I5); the line's number."""
    number = audit.record(
        connection,
        row["actor"],
        "door.intent",
        row["door"],
        {"command": row["id"], "verb": row["verb"], "reason": row["reason"]},
    )
    connection.execute(insert(command), row | {"audit": number})
    return number


def end(connection: Connection, command_id: str, result: Result, reason: str | None, at: datetime) -> bool:
    """The outcome, once. A door's own late word replaces "unknown", nothing else is ever replaced."""
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


def open_commands(connection: Connection, before: datetime) -> list[str]:
    is_open = command.c.outcome.is_(None) & (command.c.asked_at < before)
    return list(connection.execute(select(command.c.id).where(is_open)).scalars())


def report(connection: Connection, one: Event, at: datetime) -> bool:
    """False when the door had told it before (I2)."""
    known = connection.execute(select(event.c.id).where(event.c.door == one.door, event.c.id == one.id)).first()
    if known is not None:
        return False
    row = {
        "door": one.door,
        "id": one.id,
        "kind": one.kind,
        "reason": one.reason,
        "count": one.count,
        "happened_at": one.happened_at,
        "received_at": at,
    }
    connection.execute(insert(event), row)
    audit.record(connection, one.door, f"door.{one.kind}", one.id, {"reason": one.reason, "count": one.count})
    return True


def keep_position(connection: Connection, state: State) -> None:
    connection.execute(update(door).where(door.c.id == state.door).values(boot=state.boot, seq=state.seq))


def doors(connection: Connection) -> dict[str, tuple[str, int, int]]:
    return {row.id: (row.verify_key, row.boot, row.seq) for row in connection.execute(select(door))}


def latest_commands(connection: Connection, limit: int = 50) -> list[Command]:
    rows = connection.execute(select(command).order_by(command.c.asked_at.desc()).limit(limit))
    return [Command(**row._asdict()) for row in rows]


def latest_reports(connection: Connection, limit: int = 50) -> list[Report]:
    rows = connection.execute(select(event).order_by(event.c.received_at.desc()).limit(limit))
    return [Report(**row._asdict()) for row in rows]


def count_commands(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(command)).scalar_one()


def forget(connection: Connection, before: datetime) -> None:
    connection.execute(delete(command).where(command.c.asked_at < before))
    connection.execute(delete(event).where(event.c.received_at < before))
    audit.erase_details(connection, "door.", before)
