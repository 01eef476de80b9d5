"""The HTTP API: its tokens, and the answers that Idempotency-Key gives again."""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("made_by", sa.String(120), nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("expires_at", Utc),
        sa.Column("last_used_at", Utc),
        sa.Column("revoked_at", Utc),
    )
    op.create_table(
        "api_answer",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("answer", sa.LargeBinary),
    )
    op.create_index("api_answer_made", "api_answer", ["made_at"])
