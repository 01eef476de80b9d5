"""For migrations: replace people's old ids in a plugin's tables by current ones (hub.store.person_ids).

Only the key is needed, so each plugin can migrate its own tables at any time, in its own transaction.
"""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from hub.store.person_ids import PersonIds


def rename_people(table: str, column: str) -> None:
    """In a migration: replace the old ids in a column by current ones."""
    from alembic import op  # noqa: PLC0415 (12 MB, and only while something is migrated)

    ids, connection = _migrated(), op.get_bind()
    people = sa.table(table, sa.column(column, sa.String))
    for old_id in connection.execute(sa.select(people.c[column]).distinct()).scalars().all():
        if old_id is not None and ids.current_id(old_id) != old_id:
            connection.execute(
                sa.update(people).where(people.c[column] == old_id).values({column: ids.current_id(old_id)})
            )


def rename_people_within(table: str, column: str, lists: tuple[str, ...]) -> None:
    """As `rename_people`, for ids in lists of a JSON document; the table must have an integer `id`."""
    from alembic import op  # noqa: PLC0415 (12 MB, and only while something is migrated)

    ids, connection = _migrated(), op.get_bind()
    people = sa.table(table, sa.column("id", sa.Integer), sa.column(column, sa.JSON))
    for number, document in connection.execute(sa.select(people.c.id, people.c[column])).all():
        if document:
            values = {column: _renamed(document, lists, ids.current_id)}
            connection.execute(sa.update(people).where(people.c.id == number).values(values))


def _renamed(document: Mapping[str, Any], lists: tuple[str, ...], current_id: Callable[[str], str]) -> dict[str, Any]:
    return {**document, **{name: [current_id(one) for one in document.get(name, [])] for name in lists}}


def _migrated() -> PersonIds:
    from alembic import op  # noqa: PLC0415

    config = op.get_context().config
    assert config is not None  # noqa: S101 (hub.migrating_steps gives one)
    return PersonIds.load_or_create(config.attributes["data"])
