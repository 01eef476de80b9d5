"""The groups that employees are in."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("locks_person", sa.Column("groups", sa.JSON, nullable=False, server_default="[]"))
