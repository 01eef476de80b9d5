"""Whether the visitor has seen the host's answer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("checkin_visit", sa.Column("answer_seen", sa.Boolean))
