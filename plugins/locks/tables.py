"""Doors' keys, commands with their outcomes, and what doors report."""

from sqlalchemy import Column, Index, Integer, MetaData, String, Table

from hub.store import Utc

metadata = MetaData()

door = Table(
    "locks_door",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("verify_key", String(64), nullable=False),
    Column("boot", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
)

command = Table(
    "locks_command",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("door", String(64), nullable=False),
    Column("verb", String(20), nullable=False),
    Column("pulse_ms", Integer, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("audit", Integer, nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("outcome", String(10)),
    Column("outcome_reason", String(40)),
    Column("ended_at", Utc),
    Index("locks_command_door", "door", "asked_at"),
)

event = Table(
    "locks_event",
    metadata,
    Column("door", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("reason", String(40)),
    Column("count", Integer, nullable=False),
    Column("happened_at", Utc, nullable=False),
    Column("received_at", Utc, nullable=False),
)
