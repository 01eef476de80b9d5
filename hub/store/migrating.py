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
    if head is not None and _at(connection, version_table) == head:
        return
    # A start that has nothing to migrate, as nearly all, is spared Alembic: a fifth of its time and 12 MB.
    from hub.store.migrating_steps import take_steps  # noqa: PLC0415

    take_steps(connection, owner, version_table, folder, data)


def _at(connection: Connection, version_table: str) -> str | None:
    if not inspect(connection).has_table(version_table):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {version_table}")).scalars().all()  # noqa: S608 (ours)
    return str(found[0]) if len(found) == 1 else None


def _only_head(folder: Path) -> str | None:
    """The revision that no other builds upon, as the files declare it; None when that is not plain to see."""
    said = [dict(REVISION.findall(path.read_text(encoding="utf-8"))) for path in folder.glob("*.py")]
    heads = {one.get("revision") for one in said} - {one.get("down_revision") for one in said}
    return heads.pop() if len(heads) == 1 else None
