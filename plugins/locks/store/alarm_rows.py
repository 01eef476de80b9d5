"""Reads and writes alarms, in the transaction of the events that they are about."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from hub.plugin import audit
from plugins.locks.models import Alarm, Severity
from plugins.locks.store.tables import alarm

GRAVE = frozenset(
    {"forced_open", "duress", "tamper", "fire", "reader_refused", "journal_rewound", "journal_anew", "events_missing"}
)
WARNINGS = frozenset(
    {
        "held_too_long",
        "too_many_tries",
        "mains_lost",
        "reader_lost",
        "list_refused",
        "clock_wrong",
        "passes_back",
        "battery_low",
        "away",
        "jammed",
    }
)
ENDS = {
    "closed_again": "held_too_long",
    "tamper_over": "tamper",
    "fire_over": "fire",
    "mains_back": "mains_lost",
    "reader_back": "reader_lost",
    "list_taken": "list_refused",
    "clock_right": "clock_wrong",
}
"""Event → the alarm that it ends."""


def severity(kind: str) -> Severity | None:
    return "grave" if kind in GRAVE else "warning" if kind in WARNINGS else None


def record(connection: Connection, door: str, kind: str, at: datetime, count: int = 1) -> bool:
    """Raise, count up or end the alarm that `kind` is about; True when a new one was raised."""
    if kind in ENDS:
        end(connection, door, ENDS[kind], at)
    how_bad = severity(kind)
    if how_bad is None:
        return False
    again = update(alarm).where(_open(door, kind)).values(count=alarm.c.count + count, last_at=at)
    if connection.execute(again).rowcount:
        return False
    times = {"first_at": at, "last_at": at}
    connection.execute(insert(alarm).values(door=door, kind=kind, severity=how_bad, count=count, **times))
    return True


def end(connection: Connection, door: str, kind: str, at: datetime) -> bool:
    """Record that the cause has ended by itself. Grave alarms must still be acknowledged."""
    return bool(connection.execute(update(alarm).where(_open(door, kind)).values(over_at=at)).rowcount)


def active(connection: Connection) -> list[Alarm]:
    """Alarms that are not acknowledged, without ended warnings: the gravest first, then the newest."""
    waits = alarm.c.acknowledged_at.is_(None) & (alarm.c.over_at.is_(None) | (alarm.c.severity == "grave"))
    found = (Alarm(**row._asdict()) for row in connection.execute(select(alarm).where(waits)))
    return sorted(found, key=lambda alarm: (alarm.severity == "grave", alarm.last_at), reverse=True)


def unannounced(connection: Connection) -> list[Alarm]:
    """Active alarms that no notification was sent for."""
    return [alarm for alarm in active(connection) if alarm.told_at is None]


def mark_announced(connection: Connection, numbers: Iterable[int], at: datetime) -> None:
    connection.execute(update(alarm).where(alarm.c.id.in_(list(numbers))).values(told_at=at))


def acknowledge(connection: Connection, number: int, actor: str, text: str, at: datetime) -> Alarm | None:
    """None when it is unknown or already acknowledged."""
    values = {"acknowledged_at": at, "acknowledged_by": actor, "note": text}
    mine = (alarm.c.id == number) & alarm.c.acknowledged_at.is_(None)
    if not connection.execute(update(alarm).where(mine).values(**values)).rowcount:
        return None
    found = Alarm(**connection.execute(select(alarm).where(alarm.c.id == number)).one()._asdict())
    audit.record(
        connection, actor, "alarm.acknowledged", found.door, {"alarm": number, "kind": found.kind, "note": text}
    )
    return found


def forget(connection: Connection, before: datetime) -> None:
    connection.execute(delete(alarm).where(alarm.c.last_at < before, alarm.c.acknowledged_at.is_not(None)))


def _open(door: str, kind: str) -> ColumnElement[bool]:
    mine = (alarm.c.door == door) & (alarm.c.kind == kind)
    return mine & alarm.c.acknowledged_at.is_(None) & alarm.c.over_at.is_(None)
