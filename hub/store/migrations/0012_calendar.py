"""Days on which other hours hold, set on the console."""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "calendar_day",
        sa.Column("service", sa.String(64), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("spans", sa.JSON, nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("made_by", sa.String(120), nullable=False),
    )
