"""What an administrator has decided about an entity of a found device."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "entity_setting",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("is_allowed", sa.Boolean, nullable=False),
        sa.Column("likeness", sa.String(32)),
        sa.Column("keep_days", sa.Integer),
    )
