"""Notices."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "signage_notice",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("title", sa.JSON, nullable=False),
        sa.Column("text", sa.JSON, nullable=False),
        sa.Column("until", Utc),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("made_by", sa.String(120), nullable=False),
    )
