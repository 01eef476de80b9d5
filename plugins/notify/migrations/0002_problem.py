"""Why a message has not gone."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("notify_outbox", sa.Column("problem", sa.String(200)))
