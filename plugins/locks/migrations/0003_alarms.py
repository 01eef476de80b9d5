"""What somebody should look at, until somebody has."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "locks_alarm",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("door", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_at", Utc, nullable=False),
        sa.Column("last_at", Utc, nullable=False),
        sa.Column("over_at", Utc),
        sa.Column("told_at", Utc),
        sa.Column("acknowledged_at", Utc),
        sa.Column("acknowledged_by", sa.String(120)),
        sa.Column("note", sa.String(200)),
        sqlite_autoincrement=True,
    )
    op.create_index("locks_alarm_open", "locks_alarm", ["acknowledged_at", "door"])
