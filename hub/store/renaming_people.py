"""For migrations: people's old ids in a plugin's tables become those of today (hub.store.person_ids).

Nothing but the key is needed, so that each plugin does its own tables, whenever it is migrated, in its own transaction.
"""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from hub.store.person_ids import PersonIds


def rename_people(table: str, column: str) -> None:
    """In a migration: make the old ids in a column those of today."""
    from alembic import op  # noqa: PLC0415 (12 MB, and only while something is migrated)

    ids, connection = _migrated(), op.get_bind()
    mine = sa.table(table, sa.column(column, sa.String))
    for known in connection.execute(sa.select(mine.c[column]).distinct()).scalars().all():
        if known is not None and ids.today(known) != known:
            connection.execute(sa.update(mine).where(mine.c[column] == known).values({column: ids.today(known)}))


def rename_people_within(table: str, column: str, lists: tuple[str, ...]) -> None:
    """As `rename_people`, where ids stand in a JSON document's lists; the table has a number as its `id`."""
    from alembic import op  # noqa: PLC0415 (12 MB, and only while something is migrated)

    ids, connection = _migrated(), op.get_bind()
    mine = sa.table(table, sa.column("id", sa.Integer), sa.column(column, sa.JSON))
    for number, document in connection.execute(sa.select(mine.c.id, mine.c[column])).all():
        if document:
            values = {column: _renamed(document, lists, ids.today)}
            connection.execute(sa.update(mine).where(mine.c.id == number).values(values))


def _renamed(document: Mapping[str, Any], lists: tuple[str, ...], today: Callable[[str], str]) -> dict[str, Any]:
    return {**document, **{name: [today(one) for one in document.get(name, [])] for name in lists}}


def _migrated() -> PersonIds:
    from alembic import op  # noqa: PLC0415

    config = op.get_context().config
    assert config is not None  # noqa: S101 (hub.migrating_steps gives one)
    return PersonIds.made(config.attributes["data"])
