"""What IT decides about a plugin, by the console's page or the API: written down, then done while the hub runs."""

from typing import Any

from hub.configuration import file_only
from hub.hosting import choices as plugin_choices
from hub.hosting.choices import Choices, model_of
from hub.hosting.host import Loaded
from hub.hosting.lives import PluginLives
from hub.store import audit
from hub.store.store import Store


class Choosing:
    def __init__(self, store: Store, choices: Choices, lives: PluginLives) -> None:
        self.choices = choices
        self._store = store
        self._lives = lives

    async def release(self, plugin: Loaded, actor: str) -> None:
        """Let it try again."""
        await self._store.write(lambda connection: audit.record(connection, actor, "plugin.released", plugin.name))
        await self._lives.restart(plugin.name)

    async def switch(self, plugin: Loaded, actor: str, *, is_on: bool) -> None:
        await self._store.write(lambda connection: plugin_choices.switch(connection, plugin.name, actor, is_on=is_on))
        await self._anew(plugin)

    async def keep_settings(self, plugin: Loaded, section: dict[str, Any], changed: list[str], actor: str) -> None:
        """Checked already, see `Choices.checked`. The plugin starts anew; `changed` are the names for the audit log."""
        kept = file_only.in_force(model_of(plugin), section, {})
        await self._store.write(
            lambda connection: plugin_choices.keep_settings(connection, plugin.name, kept, changed, actor)
        )
        await self._anew(plugin)

    async def back_to_file(self, plugin: Loaded, actor: str) -> None:
        """The file's settings, and its word on whether the plugin is on."""
        await self._store.write(lambda connection: plugin_choices.back_to_file(connection, plugin.name, actor))
        await self._anew(plugin)

    async def _anew(self, plugin: Loaded) -> None:
        await self.choices.read()
        await self._lives.switch(plugin.name, is_on=self.choices.should_run(plugin.name))
