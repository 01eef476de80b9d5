"""Accounts of gateways that are not ours; what a broker has not been told yet; a number that tells of change."""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "gateway",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("secret_hash", sa.String(200), nullable=False),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.Column("announces", sa.Boolean, nullable=False),
        sa.Column("made_at", Utc, nullable=False),
    )
    op.create_table(
        "waiting_secret",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("secret", sa.String(200), nullable=False),
    )
    op.create_table(
        "revision",
        sa.Column("subject", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
