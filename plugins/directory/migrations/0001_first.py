"""People, presence, and when the directory was last read."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "directory_person",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("unit", sa.String(200), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("mail", sa.String(320)),
        sa.Column("phone", sa.String(60)),
        sa.Column("mobile", sa.String(60)),
        sa.Column("tasks", sa.JSON, nullable=False),
    )
    op.create_table(
        "directory_presence",
        sa.Column("person", sa.String(40), primary_key=True),
        sa.Column("is_in", sa.Boolean, nullable=False),
        sa.Column("since", Utc, nullable=False),
    )
    op.create_table(
        "directory_reading",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("read_at", Utc, nullable=False),
    )
