"""When the password of a session was last given."""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("session", sa.Column("confirmed_at", Utc))
