"""What is odd about the time that a kiosk gave."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("checkin_visit", sa.Column("timing", sa.String(10)))
