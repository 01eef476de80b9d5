"""Messages and the outbox."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "notify_message",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("body", sa.Text),
        sa.Column("language", sa.String(3), nullable=False),
        sa.Column("answers", sa.JSON, nullable=False),
        sa.Column("answer", sa.String(20)),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("answered_at", Utc),
    )
    op.create_table(
        "notify_outbox",
        sa.Column("message", sa.String(80), primary_key=True),
        sa.Column("channel", sa.String(20), primary_key=True),
        sa.Column("address", sa.String(320)),
        sa.Column("title", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("next_at", Utc, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("sent_at", Utc),
        sa.Column("given_up_at", Utc),
    )
    op.create_index("notify_outbox_next", "notify_outbox", ["sent_at", "given_up_at", "next_at"])
