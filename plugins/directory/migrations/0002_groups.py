"""The groups that people are in."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("directory_person", sa.Column("groups", sa.JSON, nullable=False, server_default="[]"))
