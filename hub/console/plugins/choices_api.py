"""A plugin on or off, and its settings, while the hub runs."""

from typing import Any, Literal

from pydantic import Field, ValidationError

from hub.api.operations import Call, Document, Nothing, Request, found, operation
from hub.configuration import file_only
from hub.console.plugins.api import PluginPath
from hub.hosting.choosing import Choosing
from hub.hosting.host import HostedPlugin, PluginHost
from hub.language.mistakes import described
from hub.web.problems import FieldError, ProblemError


class SwitchDocument(Document):
    """Whether the plugin should run. Whether it does is its state."""

    is_on: bool


class Switch(Request):
    is_on: bool


class PluginSettingsDocument(Document):
    """The plugin's section as it is in force, and what its own model takes."""

    source: Literal["file", "console"]
    settings: dict[str, Any]
    json_schema: dict[str, Any]
    file_only: list[str] = Field(description="only the file sets these; leave them out, or as they are")


class NewSettings(Request):
    settings: dict[str, Any] = Field(description="the whole section, as it would stand in the file")


SETTINGS: dict[str, Any] = {
    "scope": "plugins:settings",
    "roles": {"it"},
    "is_personal": True,
    "problems": ("conflict",),
}


class PluginChoiceApi:
    def __init__(self, host: PluginHost, choosing: Choosing) -> None:
        self._host = host
        self._choosing = choosing

    @operation("GET", "/plugins/{plugin}/switch", summary="Whether a plugin is on", scope="plugins:read", roles={"it"})
    async def switch(self, call: Call[PluginPath, Nothing, Nothing]) -> SwitchDocument:
        return SwitchDocument(is_on=self._choosing.choices.should_run(self._found(call.path).name))

    @operation(
        "PUT",
        "/plugins/{plugin}/switch",
        summary="Switch a plugin on or off; what it offers comes and goes at once",
        scope="plugins:write",
        roles={"it"},
    )
    async def set_switch(self, call: Call[PluginPath, Nothing, Switch]) -> SwitchDocument:
        await self._choosing.switch(self._found(call.path), call.caller.name, is_on=call.body.is_on)
        return SwitchDocument(is_on=call.body.is_on)

    @operation("GET", "/plugins/{plugin}/settings", summary="A plugin's settings", **SETTINGS)
    async def settings(self, call: Call[PluginPath, Nothing, Nothing]) -> PluginSettingsDocument:
        return self._document(self._loaded(call.path))

    @operation(
        "PUT",
        "/plugins/{plugin}/settings",
        summary="Give a plugin other settings; it starts anew with them",
        **SETTINGS,
    )
    async def set(self, call: Call[PluginPath, Nothing, NewSettings]) -> PluginSettingsDocument:
        plugin = self._loaded(call.path)
        try:
            section = self._choosing.choices.checked(plugin, call.body.settings)
        except file_only.FileOnlyError as error:
            errors = [FieldError(at=f"body/settings/{name}", detail=file_only.WHY) for name in error.names]
            raise ProblemError("invalid", "Look at `errors`.", errors=errors) from None
        except ValidationError as error:
            errors = [
                FieldError(at="/".join(("body/settings", *map(str, one["loc"]))), detail=described(one))
                for one in error.errors(include_url=False)
            ]
            raise ProblemError("invalid", "Look at `errors`.", errors=errors) from None
        before = self._choosing.choices.section_in_force(plugin)
        changed = sorted(name for name in {*before, *section} if before.get(name) != section.get(name))
        await self._choosing.save_settings(plugin, section, changed, call.caller.name)
        return self._document(self._loaded(call.path))

    @operation("DELETE", "/plugins/{plugin}/settings", summary="Back to the settings of the file", **SETTINGS)
    async def reset_to_file(self, call: Call[PluginPath, Nothing, Nothing]) -> None:
        await self._choosing.reset_to_file(self._loaded(call.path), call.caller.name)

    def _document(self, plugin: HostedPlugin) -> PluginSettingsDocument:
        assert plugin.module is not None  # noqa: S101 (`_loaded` has looked)
        choice = self._choosing.choices.get(plugin.name)
        model = plugin.module.Plugin.settings_model
        return PluginSettingsDocument(
            source="console" if choice is not None and choice.settings is not None else "file",
            settings=self._choosing.choices.section_in_force(plugin),
            json_schema=model.model_json_schema(),
            file_only=sorted(file_only.names(model)),
        )

    def _loaded(self, path: PluginPath) -> HostedPlugin:
        plugin = self._found(path)
        if plugin.module is None:
            raise ProblemError("conflict", "The plugin's code is not loaded; switch it on to see its settings.")
        return plugin

    def _found(self, path: PluginPath) -> HostedPlugin:
        return found(self._host.plugins.get(path.plugin), "such plugin")
