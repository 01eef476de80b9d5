"""IT's decisions about a plugin, on the console or by the API: stored, then applied while the hub runs."""

from typing import Any

from hub.configuration import file_only
from hub.hosting import choices as plugin_choices
from hub.hosting.choices import Choices, model_of
from hub.hosting.host import HostedPlugin
from hub.hosting.lifecycle import PluginLifecycle
from hub.store import audit
from hub.store.store import Store


class Choosing:
    def __init__(self, store: Store, choices: Choices, lifecycle: PluginLifecycle) -> None:
        self.choices = choices
        self._store = store
        self._lifecycle = lifecycle

    async def release(self, plugin: HostedPlugin, actor: str) -> None:
        """Restart a plugin from quarantine."""
        await self._store.write(lambda connection: audit.record(connection, actor, "plugin.released", plugin.name))
        await self._lifecycle.restart(plugin.name)

    async def switch(self, plugin: HostedPlugin, actor: str, *, is_on: bool) -> None:
        await self._store.write(lambda connection: plugin_choices.switch(connection, plugin.name, actor, is_on=is_on))
        await self._apply(plugin)

    async def save_settings(
        self, plugin: HostedPlugin, section: dict[str, Any], changed: list[str], actor: str
    ) -> None:
        """Save settings that `Choices.checked` has validated, and restart. `changed`: the keys for the audit log."""
        settings = file_only.in_force(model_of(plugin), section, {})
        await self._store.write(
            lambda connection: plugin_choices.save_settings(connection, plugin.name, settings, changed, actor)
        )
        await self._apply(plugin)

    async def reset_to_file(self, plugin: HostedPlugin, actor: str) -> None:
        """Remove the choices: the file decides settings and whether the plugin is on."""
        await self._store.write(lambda connection: plugin_choices.reset_to_file(connection, plugin.name, actor))
        await self._apply(plugin)

    async def _apply(self, plugin: HostedPlugin) -> None:
        await self.choices.read()
        await self._lifecycle.switch(plugin.name, is_on=self.choices.should_run(plugin.name))
