"""A visit that was registered at the desk has no kiosk."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("checkin_visit") as visit:
        visit.alter_column("kiosk", existing_type=sa.String(64), nullable=True)
