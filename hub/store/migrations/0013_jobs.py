"""Durable jobs of plugins."""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("plugin", sa.String(64), primary_key=True),
        sa.Column("job", sa.String(80), primary_key=True),
        sa.Column("key", sa.String(120), primary_key=True),
        sa.Column("is_scheduled", sa.Boolean, nullable=False),
        sa.Column("mark", sa.String(32), nullable=False),
        sa.Column("due_at", Utc, nullable=False),
        sa.Column("next_at", Utc, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("started_at", Utc),
        sa.Column("ended_at", Utc),
        sa.Column("error", sa.String(80)),
        sa.Column("given_up_at", Utc),
    )
    op.create_index("job_next", "job", ["plugin", "next_at"])
