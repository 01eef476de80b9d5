"""A plugin in a folder, as a newcomer has one: written, looked at by whoever installed it, edited, and tried again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hub.hub import Hub
from hub.toolkit.scaffold import write_plugin
from tests.conftest import running_hub
from tests.test_plugins_on_the_console import it_browser


@pytest_asyncio.fixture
async def newcomer(settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[tuple[Path, Hub, aiohttp.ClientSession]]:
    """The folder, a hub with it, and the only account there is, of the role `it`."""
    folder = write_plugin("front_notes", tmp_path / "plugins")
    settings["plugin_directory"] = str(folder.parent)
    async with running_hub(settings, tmp_path) as hub, it_browser(hub) as browser:
        yield folder, hub, browser


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


async def test_whoever_installs_a_new_plugin_sees_its_page(newcomer: tuple[Path, Hub, aiohttp.ClientSession]) -> None:
    _, _, browser = newcomer
    assert (await browser.get("/front-notes")).status == 200
    assert 'href="/front-notes"' in await (await browser.get("/plugins")).text()
    assert (await browser.post("/front-notes", data={"text": "Heisen står"})).status == 200


@pytest.mark.parametrize("again", ["off and on", "try again", "settings"])
async def test_what_was_edited_is_what_runs(newcomer: tuple[Path, Hub, aiohttp.ClientSession], again: str) -> None:
    """Also what it imports, its words and its version."""
    folder, hub, browser = newcomer
    before = hub.host.plugins["front_notes"].module
    await browser.post("/front-notes", data={"text": "short"})
    edit(folder / "web.py", 'str(clean(str(sent.get("text", ""))))[:LONGEST]', '"edited: " + str(sent.get("text"))')
    edit(folder / "__init__.py", '__version__ = "0.1.0"', '__version__ = "0.2.0-edited"')
    po = folder / "locale" / "nn" / "LC_MESSAGES" / "messages.po"
    edit(po, 'msgid "Front notes"\nmsgstr "', 'msgid "Front notes"\nmsgstr "Omskrivne ')
    if again == "off and on":
        for is_on in ("no", "yes"):
            await browser.post("/plugins/front_notes/switch", data={"on": is_on})
    elif again == "try again":
        await browser.post("/plugins/front_notes/release")
    else:
        await browser.post("/plugins/front_notes/file")
    plugin = hub.host.plugins["front_notes"]
    assert plugin.state == "running", plugin.reason
    assert plugin.module is not before
    assert plugin.version == "0.2.0-edited"
    page = await (await browser.post("/front-notes", data={"text": "new"})).text()
    assert "edited: new" in page
    assert "short" in page
    assert "Omskrivne" in page


async def test_what_does_not_import_is_told_and_runs_once_it_is_mended(
    newcomer: tuple[Path, Hub, aiohttp.ClientSession],
) -> None:
    folder, hub, browser = newcomer
    edit(folder / "service.py", "import asyncio\n", "import asyncio\nimport no_such_module_anywhere\n")
    await browser.post("/plugins/front_notes/release")
    plugin = hub.host.plugins["front_notes"]
    assert plugin.state == "failed"
    assert "no_such_module_anywhere" in str(plugin.reason)
    edit(folder / "service.py", "import no_such_module_anywhere\n", "")
    await browser.post("/plugins/front_notes/release")
    assert plugin.state == "running", plugin.reason
