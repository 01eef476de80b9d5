"""What only the file may set: by the API, on the console, and for a plugin of somebody else."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from hub.configuration import file_only
from hub.configuration.settings import ConfigPath
from hub.hosting.choices import choices, save_settings
from hub.hub import Hub
from hub.plugin import PluginSettings
from plugins.directory.config import Settings as DirectorySettings
from plugins.notify.config import Settings as NotifySettings
from tests.conftest import running_hub
from tests.test_api_devices import program
from tests.test_plugins_on_the_console import it_browser

EVIL_MAIL = {"host": "127.0.0.1", "security": "none", "sender": "a@b.no", "user": "x", "secret_file": "/etc/hostname"}
EVIL_SOURCE = {
    "kind": "ldap", "url": "ldaps://127.0.0.1", "bind_dn": "cn=x", "secret_file": "/etc/hostname", "base": "dc=x",
    "login": {"groups": {"it": "cn=mine"}},
}  # fmt: skip


async def test_a_token_reads_no_file_and_gives_no_role(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["plugins"]["notify"] = {"mail": {"host": "127.0.0.1", "port": 2525, "sender": "vert@kommune.no"}}
    async with running_hub(settings, tmp_path) as hub, program(hub) as api:

        async def put(plugin: str, section: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            path = f"plugins/{plugin}/settings"
            etag = (await api.get(path)).headers["ETag"]
            answer = await api.put(path, json={"settings": section}, headers={"If-Match": etag})
            return answer.status, await answer.json()

        before = {name: hub.host.plugins[name].settings for name in ("notify", "directory")}
        for plugin, name, section in (
            ("notify", "mail", {"mail": EVIL_MAIL}),
            ("notify", "mail", {"mail": None}),
            ("directory", "source", {"source": EVIL_SOURCE}),
        ):
            status, body = await put(plugin, section)
            assert (status, [one["at"] for one in body["errors"]]) == (422, [f"body/settings/{name}"])
            assert "configuration file" in body["errors"][0]["detail"]
        assert {name: hub.host.plugins[name].settings for name in before} == before
        assert await hub.store.read(choices) == {}

        shown = await (await api.get("plugins/notify/settings")).json()
        assert shown["file_only"] == ["mail"]
        for section in ({"answer_hours": 3}, shown["settings"] | {"answer_hours": 3}):
            status, body = await put("notify", section)
            assert status == 200, body
            assert body["settings"] == shown["settings"] | {"answer_hours": 3}
        assert (await hub.store.read(choices))["notify"].settings == {"answer_hours": 3}
        changed = hub.host.plugins["notify"].settings
        assert isinstance(changed, NotifySettings)
        assert changed.mail is not None
        assert (changed.mail.port, changed.answer_hours) == (2525, 3)


async def test_the_console_shows_it_and_takes_nothing(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["plugins"]["notify"] = {"mail": {"host": "post.kommune.no", "sender": "vert@kommune.no"}}
    async with running_hub(settings, tmp_path) as hub, it_browser(hub) as browser:
        before = hub.host.plugins["notify"].settings
        page = await (await browser.get("/plugins/notify/settings")).text()
        assert "host: post.kommune.no" in page
        assert "Kan berre setjast i konfigurasjonsfila" in page
        assert 'name="mail' not in page
        fields = {"webhooks": "", "own_webhooks": "", "answer_hours": "5", "give_up_hours": "12"}
        for evil in ({f"mail.{name}": value for name, value in EVIL_MAIL.items()}, {"mail": "x"}, {"mail:used": "on"}):
            answer = await browser.post("/plugins/notify/settings", data=fields | evil)
            assert answer.status == 422
            assert "Kan berre setjast i konfigurasjonsfila" in await answer.text()
        assert hub.host.plugins["notify"].settings == before
        assert (await browser.post("/plugins/notify/settings", data=fields)).status == 200
        changed = hub.host.plugins["notify"].settings
        assert changed == before.model_copy(update={"answer_hours": 5})  # type: ignore[union-attr]


async def test_what_was_kept_before_does_not_hold(settings: dict[str, Any], tmp_path: Path) -> None:
    for _ in range(2):
        async with running_hub(settings, tmp_path) as hub:
            mail = getattr(hub.host.plugins["notify"].settings, "mail", "?")
            assert mail is None
            await keep(hub, {"mail": EVIL_MAIL, "answer_hours": 3})
    assert getattr(hub.host.plugins["notify"].settings, "answer_hours", 0) == 3


async def keep(hub: Hub, section: dict[str, Any]) -> None:
    await hub.store.write(lambda connection: save_settings(connection, "notify", section, [], "test"))


class Account(PluginSettings):
    user: str = ""
    secret_file: ConfigPath | None = None


class Server(PluginSettings):
    host: str = ""
    accounts: dict[str, list[Account]] = Field(default_factory=dict)


class Nested(PluginSettings):
    server: Server | None = None
    servers: list[Server] = Field(default_factory=list)
    admins: list[str] = Field(default_factory=list, json_schema_extra={"file_only": True})
    format: str = "path"
    days: int = 3


class Flat(PluginSettings):
    host: str = ""
    files: list[Path] = Field(default_factory=list, alias="listed")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Nested, {"server", "servers", "admins"}),
        (Flat, {"host", "files", "listed"}),
        (NotifySettings, {"mail"}),
        (DirectorySettings, {"source"}),
        (PluginSettings, set()),
    ],
)
def test_the_rule_holds_for_every_model(model: type[PluginSettings], expected: set[str]) -> None:
    assert file_only.names(model) == expected
