"""Who is behind which door, for anti-passback: it outlives a restart."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "locks_inside",
        sa.Column("credential", sa.String(32), primary_key=True),
        sa.Column("zone", sa.String(100), nullable=False),
        sa.Column("since", Utc, nullable=False),
    )
