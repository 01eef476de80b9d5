"""Where found devices are, by an administrator's word."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "found_place",
        sa.Column("device", sa.String(255), primary_key=True),
        sa.Column("site", sa.String(60), nullable=False),
        sa.Column("building", sa.String(60), nullable=False),
        sa.Column("floor", sa.String(60), nullable=False),
        sa.Column("zone", sa.String(60), nullable=False),
    )
