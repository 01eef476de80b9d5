"""What IT has chosen on the console for a plugin: on or off, and settings instead of the file's.

docs/decisions/0011-settings-on-the-console.md says why this stands in the store and not in the file.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from hub import audit
from hub.store import now
from hub.tables import plugin_choice


@dataclass(frozen=True)
class Choice:
    """None: as the file says."""

    is_on: bool | None
    settings: dict[str, Any] | None
    changed_at: datetime
    changed_by: str


def choices(connection: Connection) -> dict[str, Choice]:
    """For each plugin that somebody has chosen something for."""
    rows = connection.execute(select(plugin_choice))
    return {row.plugin: Choice(row.is_on, row.settings, row.changed_at, row.changed_by) for row in rows}


def switch(connection: Connection, plugin: str, actor: str, *, is_on: bool) -> None:
    _put(connection, plugin, actor, is_on=is_on)
    audit.record(connection, actor, "plugin.switched_on" if is_on else "plugin.switched_off", plugin)


def keep_settings(
    connection: Connection, plugin: str, settings: dict[str, Any], changed: list[str], actor: str
) -> None:
    """The audit log gets the names of what has `changed`, never the values: an address may have a secret in it."""
    _put(connection, plugin, actor, settings=settings)
    audit.record(connection, actor, "plugin.settings_changed", plugin, {"keys": changed})


def back_to_file(connection: Connection, plugin: str, actor: str) -> None:
    """The file's settings, and its word on whether the plugin is on."""
    connection.execute(delete(plugin_choice).where(plugin_choice.c.plugin == plugin))
    audit.record(connection, actor, "plugin.back_to_file", plugin)


def _put(connection: Connection, plugin: str, actor: str, **changes: Any) -> None:
    before = connection.execute(select(plugin_choice).where(plugin_choice.c.plugin == plugin)).first()
    kept = {"is_on": before.is_on, "settings": before.settings} if before else {"is_on": None, "settings": None}
    connection.execute(delete(plugin_choice).where(plugin_choice.c.plugin == plugin))
    row = {"plugin": plugin, "changed_at": now(), "changed_by": actor}
    connection.execute(insert(plugin_choice), row | kept | changes)
