"""Alembic for the kernel and for every plugin: each has its own folder of migrations and its own version table."""

import re
from pathlib import Path

from sqlalchemy import Connection, inspect, text

REVISION = re.compile(r"""^(revision|down_revision)\b[^=\n]*=\s*["']([^"'\n]+)["']""", re.MULTILINE)


def migrate(connection: Connection, owner: str, folder: Path, data: Path) -> None:
    """Bring the tables of `owner` to the newest revision in `folder`. Raises NewerSchemaError.

    The migrations are plain Alembic files; docs/plugins.md shows one. `data`: the data folder, with the hub's keys.
    """
    version_table = f"alembic_{owner}"
    head = _only_head(folder)
    if head is not None and _current(connection, version_table) == head:
        return
    # Alembic takes a fifth of the start's time and 12 MB: import it only if there is something to migrate.
    from hub.store.migrating_steps import take_steps  # noqa: PLC0415

    take_steps(connection, owner, version_table, folder, data)


def _current(connection: Connection, version_table: str) -> str | None:
    if not inspect(connection).has_table(version_table):
        return None
    versions = connection.execute(text(f"SELECT version_num FROM {version_table}")).scalars().all()  # noqa: S608 (ours)
    return str(versions[0]) if len(versions) == 1 else None


def _only_head(folder: Path) -> str | None:
    """The head revision declared in the files; None if it is not unambiguous."""
    declared = [dict(REVISION.findall(path.read_text(encoding="utf-8"))) for path in folder.glob("*.py")]
    heads = {one.get("revision") for one in declared} - {one.get("down_revision") for one in declared}
    return heads.pop() if len(heads) == 1 else None
