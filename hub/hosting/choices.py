"""IT's choices for a plugin on the console: on or off, and settings in place of the file's.

docs/decisions/0011-settings-on-the-console.md says why they are in the store and not in the file.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from hub.configuration import file_only
from hub.configuration.settings import Configuration
from hub.hooks.guard import call_guarded
from hub.hosting.host import HostedPlugin
from hub.plugin import PluginSettings
from hub.store import audit
from hub.store.store import Store, now
from hub.store.tables import plugin_choice


@dataclass(frozen=True)
class Choice:
    """None means as in the file."""

    is_on: bool | None
    settings: dict[str, Any] | None
    changed_at: datetime
    changed_by: str


class Choices:
    """The choices and the file combined. Cached; call `read` after each change."""

    def __init__(self, store: Store, configuration: Configuration) -> None:
        self._store = store
        self._configuration = configuration
        self._by_plugin: dict[str, Choice] = {}
        self._reading = asyncio.Lock()
        """Serialises reads, so that an older result does not overwrite a newer one."""

    async def read(self) -> None:
        async with self._reading:
            self._by_plugin = await self._store.read(choices)

    def get(self, name: str) -> Choice | None:
        return self._by_plugin.get(name)

    def should_run(self, name: str) -> bool:
        """As chosen on the console, else as in the file."""
        choice = self._by_plugin.get(name)
        if choice is not None and choice.is_on is not None:
            return choice.is_on
        return self._configuration.plugin_section(name) is not False

    def section_in_force(self, plugin: HostedPlugin) -> dict[str, Any]:
        """The settings from the console, else from the file. The plugin must be loaded."""
        choice, file = self._by_plugin.get(plugin.name), self._section_of_file(plugin)
        if choice is not None and choice.settings is not None:
            return file_only.in_force(model_of(plugin), choice.settings, file)
        return file

    def checked(self, plugin: HostedPlugin, sent: dict[str, Any]) -> dict[str, Any]:
        """The section as it would be in force: the submitted settings, with those that only the file may set.

        The plugin must be loaded. Raises FileOnlyError, or pydantic.ValidationError as for the file.
        """
        model, file = model_of(plugin), self._section_of_file(plugin)
        file_only.refuse_changes(model, sent, file)
        section = file_only.in_force(model, sent, file)
        call_guarded(plugin, self._configuration.validated, model, section)
        return section

    def _section_of_file(self, plugin: HostedPlugin) -> dict[str, Any]:
        section = self._configuration.plugin_section(plugin.name)
        return dict(section) if isinstance(section, dict) else {}


def model_of(plugin: HostedPlugin) -> type[PluginSettings]:
    """The plugin must be loaded."""
    assert plugin.module is not None  # noqa: S101 (the caller has looked)
    model: type[PluginSettings] = plugin.module.Plugin.settings_model
    return model


def choices(connection: Connection) -> dict[str, Choice]:
    """The choices, by plugin."""
    rows = connection.execute(select(plugin_choice))
    return {row.plugin: Choice(row.is_on, row.settings, row.changed_at, row.changed_by) for row in rows}


def switch(connection: Connection, plugin: str, actor: str, *, is_on: bool) -> None:
    _save(connection, plugin, actor, is_on=is_on)
    audit.record(connection, actor, "plugin.switched_on" if is_on else "plugin.switched_off", plugin)


def save_settings(
    connection: Connection, plugin: str, settings: dict[str, Any], changed: list[str], actor: str
) -> None:
    """Save settings. The audit log gets the names of the `changed` keys, never values: they may contain a secret."""
    _save(connection, plugin, actor, settings=settings)
    audit.record(connection, actor, "plugin.settings_changed", plugin, {"keys": changed})


def reset_to_file(connection: Connection, plugin: str, actor: str) -> None:
    """Remove the choices: the file decides settings and whether the plugin is on."""
    connection.execute(delete(plugin_choice).where(plugin_choice.c.plugin == plugin))
    audit.record(connection, actor, "plugin.back_to_file", plugin)


def _save(connection: Connection, plugin: str, actor: str, **changes: Any) -> None:
    before = connection.execute(select(plugin_choice).where(plugin_choice.c.plugin == plugin)).first()
    previous = {"is_on": before.is_on, "settings": before.settings} if before else {"is_on": None, "settings": None}
    connection.execute(delete(plugin_choice).where(plugin_choice.c.plugin == plugin))
    row = {"plugin": plugin, "changed_at": now(), "changed_by": actor}
    connection.execute(insert(plugin_choice), row | previous | changes)
