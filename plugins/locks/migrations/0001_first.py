"""Doors, commands, events."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "locks_door",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("verify_key", sa.String(64), nullable=False),
        sa.Column("boot", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
    )
    op.create_table(
        "locks_command",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("door", sa.String(64), nullable=False),
        sa.Column("verb", sa.String(20), nullable=False),
        sa.Column("pulse_ms", sa.Integer, nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("audit", sa.Integer, nullable=False),
        sa.Column("asked_at", Utc, nullable=False),
        sa.Column("outcome", sa.String(10)),
        sa.Column("outcome_reason", sa.String(40)),
        sa.Column("ended_at", Utc),
    )
    op.create_index("locks_command_door", "locks_command", ["door", "asked_at"])
    op.create_table(
        "locks_event",
        sa.Column("door", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(40)),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("happened_at", Utc, nullable=False),
        sa.Column("received_at", Utc, nullable=False),
    )
