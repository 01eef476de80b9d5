"""Visitors' passes: what was given, used and revoked."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "locks_pass",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("label", sa.String(80), nullable=False),
        sa.Column("doors", sa.JSON, nullable=False),
        sa.Column("first", Utc, nullable=False),
        sa.Column("until", Utc, nullable=False),
        sa.Column("once", sa.Boolean, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("made_by", sa.String(120), nullable=False),
        sa.Column("used_at", Utc),
        sa.Column("revoked_at", Utc),
    )
    op.create_index("locks_pass_until", "locks_pass", ["until"])
    op.create_index("locks_pass_sha256", "locks_pass", ["sha256"])
