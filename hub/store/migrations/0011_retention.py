"""What is old is found without looking at what is not."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index("event_happened", "event", ["happened_at"])
    kept = sa.text("salt IS NOT NULL")
    op.create_index("audit_kept", "audit", ["happened_at"], sqlite_where=kept, postgresql_where=kept)
