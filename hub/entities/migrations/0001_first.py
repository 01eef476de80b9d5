"""What entities were."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """SQLite only: the history is a file of its own beside the store. `value` is a number, a text or NULL (unknown)."""
    op.execute("CREATE TABLE entity (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, keep_days INTEGER)")
    op.execute(
        "CREATE TABLE sample (entity INTEGER NOT NULL, at REAL NOT NULL, value, PRIMARY KEY (entity, at)) WITHOUT ROWID"
    )
