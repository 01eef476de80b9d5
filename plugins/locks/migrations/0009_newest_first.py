"""What is shown newest first is found so, with a million events too."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_index("locks_event_received", "locks_event", ["received_at"])
    op.create_index("locks_event_door", "locks_event", ["door", "received_at"])
    op.drop_index("locks_event_credential", "locks_event")
    op.create_index("locks_event_credential", "locks_event", ["credential", "received_at"])
    op.create_index("locks_command_asked", "locks_command", ["asked_at"])
    told, waits = sa.text("actor <> 'reader'"), sa.text("outcome IS NULL")
    op.create_index("locks_command_told", "locks_command", ["asked_at"], sqlite_where=told, postgresql_where=told)
    op.create_index("locks_command_open", "locks_command", ["asked_at"], sqlite_where=waits, postgresql_where=waits)
