"""Accounts can be shut, and a token knows by which token it was made.

A token that a token made before now gets the one of that name as its parent, where there is only one; it lives no
longer than that one.
"""

import sqlalchemy as sa
from alembic import op

from hub.store.store import Utc

revision = "0010"
down_revision = "0009"

api_token = sa.table(
    "api_token",
    sa.column("id", sa.String),
    sa.column("name", sa.String),
    sa.column("made_by", sa.String),
    sa.column("parent", sa.String),
    sa.column("expires_at", Utc),
    sa.column("revoked_at", Utc),
)


def upgrade() -> None:
    op.add_column("account", sa.Column("is_shut", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("api_token", sa.Column("parent", sa.String(32)))
    connection = op.get_bind()
    rows = connection.execute(sa.select(api_token)).all()
    makers: dict[str, list[sa.Row[tuple[object, ...]]]] = {}
    for row in rows:
        makers.setdefault(f"token:{row.name}", []).append(row)
    for row in rows:
        made_by = [one for one in makers.get(row.made_by, []) if one.id != row.id]
        if len(made_by) != 1:
            continue
        parent = made_by[0]
        ends = [one.expires_at for one in (row, parent) if one.expires_at is not None]
        gone = [one.revoked_at for one in (row, parent) if one.revoked_at is not None]
        changed = {
            "parent": parent.id,
            "expires_at": min(ends, default=None),
            "revoked_at": min(gone, default=None),
        }
        connection.execute(sa.update(api_token).where(api_token.c.id == row.id).values(**changed))
