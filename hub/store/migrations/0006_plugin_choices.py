"""What IT has chosen on the console for a plugin."""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "plugin_choice",
        sa.Column("plugin", sa.String(64), primary_key=True),
        sa.Column("is_on", sa.Boolean),
        sa.Column("settings", sa.JSON),
        sa.Column("changed_at", Utc, nullable=False),
        sa.Column("changed_by", sa.String(120), nullable=False),
    )
