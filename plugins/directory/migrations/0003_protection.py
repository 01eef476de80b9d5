"""What the last reading said of those who must not be found or let in."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("directory_reading", sa.Column("protection", sa.JSON))
