"""What IT decides about a plugin, by the console's page or the API: written down, then done while the hub runs."""

from typing import TYPE_CHECKING, Any

from hub import audit, file_only, plugin_choices
from hub.guard import at_once
from hub.plugin import PluginSettings
from hub.plugin_host import Loaded

if TYPE_CHECKING:
    from hub.hub import Hub


async def release(hub: "Hub", plugin: Loaded, actor: str) -> None:
    """Let it try again."""
    await hub.store.write(lambda connection: audit.record(connection, actor, "plugin.released", plugin.name))
    await hub.lives.restart(plugin.name)


async def switch(hub: "Hub", plugin: Loaded, actor: str, *, is_on: bool) -> None:
    await hub.store.write(lambda connection: plugin_choices.switch(connection, plugin.name, actor, is_on=is_on))
    await hub.lives.read_choices()
    await hub.lives.switch(plugin.name, is_on=is_on)


async def keep_settings(hub: "Hub", plugin: Loaded, section: dict[str, Any], changed: list[str], actor: str) -> None:
    """Checked already, see `checked`. The plugin starts anew with them; `changed` are the names for the audit log."""
    kept = file_only.in_force(_model(plugin), section, {})
    await hub.store.write(
        lambda connection: plugin_choices.keep_settings(connection, plugin.name, kept, changed, actor)
    )
    await _anew(hub, plugin)


async def back_to_file(hub: "Hub", plugin: Loaded, actor: str) -> None:
    """The file's settings, and its word on whether the plugin is on."""
    await hub.store.write(lambda connection: plugin_choices.back_to_file(connection, plugin.name, actor))
    await _anew(hub, plugin)


def checked(hub: "Hub", plugin: Loaded, sent: dict[str, Any]) -> dict[str, Any]:
    """The section as it would be in force: what was sent, with what the file alone decides. The plugin must be loaded.

    Raises FileOnlyError, or pydantic.ValidationError as for the file.
    """
    model, file = _model(plugin), _section_of_file(hub, plugin)
    file_only.refuse_changes(model, sent, file)
    section = file_only.in_force(model, sent, file)
    at_once(plugin, hub.configuration.validated, model, section)
    return section


def section_in_force(hub: "Hub", plugin: Loaded) -> dict[str, Any]:
    """From the console, or else from the file. The plugin must be loaded."""
    choice, file = hub.lives.choices.get(plugin.name), _section_of_file(hub, plugin)
    if choice is not None and choice.settings is not None:
        return file_only.in_force(_model(plugin), choice.settings, file)
    return file


def _section_of_file(hub: "Hub", plugin: Loaded) -> dict[str, Any]:
    section = hub.configuration.plugin_section(plugin.name)
    return dict(section) if isinstance(section, dict) else {}


def _model(plugin: Loaded) -> type[PluginSettings]:
    assert plugin.module is not None  # noqa: S101 (the caller has looked)
    model: type[PluginSettings] = plugin.module.Plugin.settings_model
    return model


async def _anew(hub: "Hub", plugin: Loaded) -> None:
    await hub.lives.read_choices()
    await hub.lives.switch(plugin.name, is_on=hub.lives.should_run(plugin.name))
