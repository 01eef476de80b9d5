"""Screens that somebody has switched off."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table("signage_off", sa.Column("screen", sa.String(64), primary_key=True))
