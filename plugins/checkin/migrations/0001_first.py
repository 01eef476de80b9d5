"""Visits."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "checkin_visit",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kiosk", sa.String(64), nullable=False),
        sa.Column("host", sa.String(64)),
        sa.Column("host_name", sa.String(200)),
        sa.Column("host_unit", sa.String(200)),
        sa.Column("visitor", sa.String(80)),
        sa.Column("company", sa.String(80)),
        sa.Column("language", sa.String(3), nullable=False),
        sa.Column("number", sa.String(4)),
        sa.Column("arrived_at", Utc, nullable=False),
        sa.Column("registered_at", Utc, nullable=False),
        sa.Column("told", sa.Boolean),
        sa.Column("answer", sa.String(20)),
        sa.Column("answered_at", Utc),
        sa.Column("left_at", Utc),
        sa.Column("left_by", sa.String(120)),
        sa.Column("check_out", sa.String(64)),
    )
    op.create_index("checkin_visit_open", "checkin_visit", ["left_at", "number"])
    op.create_index("checkin_visit_check_out", "checkin_visit", ["check_out"])
