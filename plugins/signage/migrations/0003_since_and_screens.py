"""From when a notice is shown, and on which screens; null: at once, and on all."""

import sqlalchemy as sa
from alembic import op

from hub.plugin.tables import Utc

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("signage_notice", sa.Column("since", Utc))
    op.add_column("signage_notice", sa.Column("screens", sa.JSON(none_as_null=True)))
