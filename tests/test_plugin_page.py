"""docs/plugins.md: the plugin that the page builds is built from the page, and works."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hub.hooks.specifications import held_data
from hub.hub import Hub
from hub.language.catalogues import main as check_catalogues
from hub.plugin import Context
from hub.store import audit
from tests.conftest import running_hub, until, until_async

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^`(lostfound/[^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = "/lost-and-found"
PASSWORD = "hittegods-2026"


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A plugin directory with what stands on the page."""
    folder = tmp_path / "plugins"
    for name, text in BLOCK.findall(PAGE):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest_asyncio.fixture
async def lostfound(settings: dict[str, Any], tmp_path: Path, plugins: Path) -> AsyncIterator[Hub]:
    settings["plugin_directory"] = str(plugins)
    settings["plugins"]["lostfound"] = {"keep_days": 60, "shelf_buttons": ["event.shelf_1"]}
    async with running_hub(settings, tmp_path) as hub:
        assert hub.host.plugins["lostfound"].state == "running", hub.host.plugins["lostfound"].reason
        await hub.accounts.put("skranke", PASSWORD, frozenset({"front_line"}), "test")
        await hub.accounts.put("vaktmeister", PASSWORD, frozenset({"caretaker"}), "test")
        yield hub


def browser(hub: Hub) -> aiohttp.ClientSession:
    address = hub.settings.web.address
    return aiohttp.ClientSession(address, headers={"Accept": "text/html", "Origin": address})


async def log_in(session: aiohttp.ClientSession, name: str) -> None:
    answer = await session.post("/login", data={"name": name, "password": PASSWORD}, allow_redirects=False)
    assert answer.status == 303


async def test_its_page_is_used(lostfound: Hub) -> None:
    async with browser(lostfound) as desk:
        await log_in(desk, "skranke")
        empty = await (await desk.get(PATH)).text()
        assert "Her ligg ingenting." in empty
        assert f'href="{PATH}" aria-current="page">Hittegods' in empty

        thing = {"what": "Ein <b>raud</b> vott", "place": "Biblioteket", "finder": "Ola Finnar"}
        answer = await desk.post(PATH, data=thing)
        shown = await answer.text()
        assert answer.status == 200
        assert "Ein &lt;b&gt;raud&lt;/b&gt; vott" in shown
        assert "Ola Finnar" in shown
        assert (await desk.post(PATH, data={"what": " "})).status == 400

        found = re.search(rf'action="({PATH}/\w+/give-back)"', shown)
        assert found is not None
        assert "Her ligg ingenting." in await (await desk.post(found[1])).text()
    entries = await lostfound.store.read(audit.newest)
    ours = [(one.actor, one.action) for one in entries if one.action.startswith("lostfound.")]
    assert ours == [("skranke", "lostfound.given_back"), ("skranke", "lostfound.handed_in")]


async def test_programs_read_what_lies_there(lostfound: Hub) -> None:
    await lostfound.host.plugins["lostfound"].instance.items.hand_in("Ein vott", "Biblioteket", "Ola Finnar", "test")
    async with browser(lostfound) as desk:
        assert (await desk.get("/api/v1/lost-things")).status == 401
        await log_in(desk, "skranke")
        (item,) = (await (await desk.get("/api/v1/lost-things")).json())["items"]
        assert (item["what"], item["place"], "finder" in item) == ("Ein vott", "Biblioteket", False)


async def test_the_search_finds_what_lies_there_for_whom_it_is(lostfound: Hub) -> None:
    await lostfound.host.plugins["lostfound"].instance.items.hand_in(
        "Ein raud vott", "Biblioteket", "Ola Finnar", "test"
    )
    async with browser(lostfound) as desk:
        await log_in(desk, "skranke")
        shown = await (await desk.get("/search?q=VOTT")).text()
        assert f'href="{PATH}"><bdi>Ein raud vott' in shown
        assert "Ola Finnar" not in shown
        assert "Kari Nordmann" in await (await desk.get("/search?q=kari")).text()
        assert "Ingen veit noko om &lt;zzz&gt;." in await (await desk.get("/search?q=<zzz>")).text()
    async with browser(lostfound) as caretaker:
        assert "/login" in str((await caretaker.get("/search?q=vott")).url)
        await log_in(caretaker, "vaktmeister")
        assert "raud vott" not in await (await caretaker.get("/search?q=vott")).text()


async def test_its_slide_is_on_the_screens_while_something_waits(lostfound: Hub) -> None:
    items = lostfound.host.plugins["lostfound"].instance.items
    signage = lostfound.host.plugins["signage"].instance.signage
    assert (await signage.programme()).notices == []
    thing = await items.hand_in("Ein vott", "", "", "test")
    (slide,) = (await signage.programme()).notices
    assert slide.text["nn"] == "Ting som ventar på eigaren sin i skranken: 1"
    await items.give_back(thing, "test")
    assert (await signage.programme()).notices == []


async def test_a_button_on_a_shelf_hands_in(lostfound: Hub) -> None:
    """Announced and pressed as Zigbee2MQTT does it, through the broker."""
    wire, items = lostfound.mqtt.wire, lostfound.host.plugins["lostfound"].instance.items
    assert wire is not None
    for number in ("1", "2"):
        config = {
            "unique_id": f"shelf_{number}",
            "name": "Knapp",
            "state_topic": f"shelf/{number}",
            "event_types": ["press"],
            "device": {"identifiers": [f"shelf-{number}"], "name": f"Hylle {number}"},
        }
        wire.publish(f"homeassistant/event/shelf_{number}/config", json.dumps(config).encode(), retain=True)
    await until(lambda: lostfound.entities.get("event.shelf_2"))
    for number in ("2", "1"):
        wire.publish(f"shelf/{number}", b'{"event_type": "press"}')
    kept = await until_async(items.kept)
    assert [(one.what, one.place) for one in kept] == [("Noko på hylla", "Hylle 1")]


async def test_its_page_is_for_the_desk(lostfound: Hub) -> None:
    async with browser(lostfound) as caretaker:
        assert "/login" in str((await caretaker.get(PATH)).url)
        await log_in(caretaker, "vaktmeister")
        assert (await caretaker.get(PATH)).status == 403
        assert "Hittegods" not in await (await caretaker.get("/devices")).text()


async def test_it_says_which_personal_data_it_holds(lostfound: Hub) -> None:
    held = dict((await lostfound.hooks.all(held_data)).by_plugin)["lostfound"]
    assert [(one.count, one.values) for one in held] == [(0, {"days": 60})]


def test_its_catalogues_are_complete(plugins: Path) -> None:
    check_catalogues(["--check", str(plugins / "lostfound")])


@pytest.mark.slow
def test_its_own_test_passes(plugins: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "lostfound"],
        cwd=plugins,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_all_that_a_context_offers_is_on_the_page() -> None:
    reference = PAGE.split("## The Context", 1)[1].split("\n## ", 1)[0]
    source = (ROOT / "hub" / "plugin" / "__init__.py").read_text(encoding="utf-8")
    attributes = set(re.findall(r"^        self\.([a-z]\w*)(?::| =)", source, re.MULTILINE))
    assert len(attributes) > 10
    for name in attributes:
        assert re.search(rf"^\| (?:`\w+`, )*`{name}`", reference, re.MULTILINE), name
    methods = {name: one for name, one in vars(Context).items() if inspect.isfunction(one) and not name.startswith("_")}
    assert len(methods) > 5
    for name, method in methods.items():
        parameters = list(inspect.signature(method).parameters.values())[1:]
        plain = [one.replace(annotation=inspect.Parameter.empty) for one in parameters]
        written = f"{'await ' * inspect.iscoroutinefunction(method)}{name}{inspect.Signature(plain)}"
        assert f"\n| `{written}` |" in reference, written
