"""The hub may have several keys, one after the other; a pass says which one signed it."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "locks_hub_key",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("verify_key", sa.String(64), nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("made_by", sa.String(120), nullable=False),
        sa.Column("retired_at", Utc),
        sa.Column("ended_at", Utc),
    )
    op.add_column("locks_pass", sa.Column("key", sa.String(40), nullable=False, server_default="hub-1"))
