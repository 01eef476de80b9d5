"""The kernel knows no kind of device: what there is of doors, screens and kiosks comes from their plugins."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hub.hosting import finding
from hub.hub import Hub
from tests.conftest import running_hub
from tests.test_pairing import administrator
from tests.test_production import command

HUB = Path(__file__).parents[1] / "hub"
WORDS = re.compile(
    r"(?<![a-zæøå])(door|screen|kiosk|tablet|player|dør|storskjerm|registreringsskjerm|nettbrett)(s|er|ar|en|a)?(?![a-zæøå])",
    re.IGNORECASE,
)
CLASSES_OF_HOME_ASSISTANT = {
    "entities/words.py": {'"door": (N_("open"), N_("closed")),', '"garage_door": (N_("open"), N_("closed")),'}
    | {'"door": N_("Door"),', '"garage_door": N_("Garage door"),'},
}
"""`device_class` of an entity that announces itself: that format's words."""
PAGES = ("/devices", "/pair", "/opening-hours", "/plugins", "/found", "/tokens", "/accounts", "/search?q=a")


def test_the_kernels_source_names_no_kind_of_device() -> None:
    sources = [path for ending in ("py", "html", "css", "ts", "j2") for path in HUB.rglob(f"*.{ending}")]
    assert len(sources) > 200
    named = [
        f"{name}: {line.strip()}"
        for path in sources
        if (name := path.relative_to(HUB).as_posix()).partition("/")[0] != "static"
        for line in path.read_text().splitlines()
        if WORDS.search(line) and line.strip() not in CLASSES_OF_HOME_ASSISTANT.get(name, ())
    ]
    assert named == []


@pytest.fixture
def settings(settings: dict[str, Any], sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """With the one plugin installed."""
    every = finding.sources
    monkeypatch.setattr(finding, "sources", lambda folder: {"directory": every(folder)["directory"]})
    plugins = {"directory": settings["plugins"]["directory"]}
    return settings | {"store": {"url": sqlite_url}, "plugins": plugins}


@pytest_asyncio.fixture
async def bare_hub(settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(settings, tmp_path) as hub:
        yield hub


@pytest.mark.parametrize("language", ["nn", "nb", "en"])
async def test_a_hub_with_only_the_directory_shows_no_kind_of_device(bare_hub: Hub, language: str) -> None:
    assert list(bare_hub.host.plugins) == ["directory"]
    async with administrator(bare_hub) as admin:
        await admin.post("/language", data={"language": language, "to": "/devices"})
        for page in PAGES:
            assert found(await text_of(admin, page)) == [], page
        assert found(await text_of(admin, "/api/openapi.json")) == []
        assert found(await text_of(admin, "/api")) == []


async def text_of(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as answer:
        assert answer.status == 200, path
        return await answer.text()


def found(text: str) -> list[str]:
    return [text[max(one.start() - 40, 0) : one.end() + 20] for one in WORDS.finditer(text)]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("device",), ("device", "add"), ("simulate",), ("demo",), ("account",)])
def test_no_command_names_a_kind_of_device(arguments: tuple[str, ...]) -> None:
    told = command(*arguments, "--help")
    assert told.returncode == 0
    assert found(told.stdout) == []


async def test_a_kind_is_called_what_its_plugin_calls_it(settings: dict[str, Any], tmp_path: Path) -> None:
    """With the way it is paired; and no longer when the plugin is off."""
    lamps = tmp_path / "plugins" / "lamps"
    words = lamps / "locale" / "nn" / "LC_MESSAGES" / "messages.po"
    words.parent.mkdir(parents=True)
    (lamps / "__init__.py").write_text(LAMPS)
    words.write_text(NYNORSK)
    finding_both = {"directory": finding.sources(None)["directory"], "lamps": lamps}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finding, "sources", lambda _folder: finding_both)
        async with running_hub(settings, tmp_path) as hub, administrator(hub) as admin:
            assert "<li>Lampe: <code>kommunevert-lamp --pair</code></li>" in await text_of(admin, "/pair")
            await hub.enroller.enrol("lamp-1", "lamp", "I taket", "", "test")
            assert "<small>Lampe</small>" in await text_of(admin, "/devices")
            assert hub.enroller.subjects() == {"devices", "lamps"}
            await hub.lifecycle.switch("lamps", is_on=False)
            assert "lamp" not in await text_of(admin, "/pair")
            assert "<small>lamp</small>" in await text_of(admin, "/devices")


LAMPS = """\
from hub.plugin import N_, Context, PluginSettings

kommunevert_api = "2.0"


class Plugin:
    settings_model = PluginSettings

    def __init__(self, context: Context, settings: PluginSettings) -> None:
        self.context = context

    async def start(self) -> None:
        self.context.drives("lamp", N_("Lamp"), program="kommunevert-lamp", subject="lamps")
"""
NYNORSK = """\
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8"

msgid "Lamp"
msgstr "Lampe"
"""
