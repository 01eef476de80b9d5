"""Events that a follower could not take yet."""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "parked_event",
        sa.Column("follower", sa.String(120), primary_key=True),
        sa.Column("event", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("parked_at", Utc, nullable=False),
        sa.Column("error", sa.String(80), nullable=False),
        sa.Column("given_up_at", Utc),
    )
