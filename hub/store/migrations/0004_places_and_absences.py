"""Where a device is, by parts; when it was away; when the hub was last alive, so that its own absence is not theirs."""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("device") as device:
        device.alter_column("place", type_=sa.String(250), existing_type=sa.String(80))
        for part, length in (("site", 60), ("building", 60), ("floor", 60), ("zone", 80)):
            device.add_column(sa.Column(part, sa.String(length), nullable=False, server_default=""))
        device.add_column(sa.Column("first_heard_at", Utc))
    op.execute("UPDATE device SET zone = place")
    op.create_table(
        "absence",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("began_at", Utc, nullable=False),
        sa.Column("ended_at", Utc),
        sa.Column("noticed_by", sa.String(20), nullable=False),
        sa.Column("ended_by", sa.String(20)),
        sqlite_autoincrement=True,
    )
    op.create_index("absence_device", "absence", ["device", "began_at"])
    op.create_table(
        "hub_life",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("at", Utc, nullable=False),
    )
