"""Who may pass: rules, credentials, lockdowns, lists; what was decided and by what."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for column in (
        sa.Column("settings", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("mark", sa.String(16), nullable=False, server_default=""),
        sa.Column("last_event", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("locks_door", column)
    for column in (
        sa.Column("signs", sa.Text),
        sa.Column("hold_seconds", sa.Integer),
        sa.Column("why", sa.String(20)),
        sa.Column("credential", sa.String(32)),
        sa.Column("detail", sa.JSON),
    ):
        op.add_column("locks_command", column)
    op.create_index("locks_command_credential", "locks_command", ["credential", "asked_at"])
    op.add_column("locks_event", sa.Column("credential", sa.String(32)))
    op.add_column("locks_event", sa.Column("detail", sa.JSON))
    op.create_index("locks_event_credential", "locks_event", ["credential", "happened_at"])
    op.create_table(
        "locks_rule",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("who", sa.JSON, nullable=False),
        sa.Column("where", sa.JSON, nullable=False),
        sa.Column("times", sa.JSON, nullable=False),
        sa.Column("asks", sa.String(20), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "locks_credential",
        sa.Column("ref", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False, unique=True),
        sa.Column("person", sa.String(64)),
        sa.Column("label", sa.String(80), nullable=False),
        sa.Column("opens_alone", sa.Boolean, nullable=False),
        sa.Column("in_lockdown", sa.Boolean, nullable=False),
        sa.Column("first", Utc),
        sa.Column("until", Utc),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("ended_at", Utc),
        sa.Column("ended_why", sa.String(20)),
    )
    op.create_index("locks_credential_person", "locks_credential", ["person"])
    op.create_table(
        "locks_person",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("unit", sa.String(200), nullable=False),
    )
    op.create_table(
        "locks_lockdown",
        sa.Column("zone", sa.String(100), primary_key=True),
        sa.Column("since", Utc, nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
    )
    op.create_table(
        "locks_list",
        sa.Column("door", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("valid_until", Utc, nullable=False),
        sa.Column("payload", sa.LargeBinary),
    )
