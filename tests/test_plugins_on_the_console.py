"""The page Plugins: switched off and on, and set by a form made from the model, while the hub runs."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
import pytest_asyncio
from pydantic import Field, ValidationError

from hub.console.plugins.settings_form import FormError, form_of, mistakes_of, section_of
from hub.hosting.choices import choices
from hub.hub import Hub
from hub.plugin import PluginSettings
from hub.store import audit
from tests.conftest import running_hub
from tests.kiosk_client import KioskClient

PASSWORD = "tillegg-2026"


@pytest_asyncio.fixture
async def it(settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[tuple[Hub, aiohttp.ClientSession]]:
    async with running_hub(settings, tmp_path) as hub, it_browser(hub) as browser:
        yield hub, browser


@asynccontextmanager
async def it_browser(hub: Hub) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody of IT, logged in."""
    await hub.accounts.put("ikt", PASSWORD, frozenset({"it"}), "test")
    address = hub.settings.web.address
    async with aiohttp.ClientSession(address, headers={"Accept": "text/html", "Origin": address}) as browser:
        await browser.post("/login", data={"name": "ikt", "password": PASSWORD})
        yield browser


def sent_from(page: str) -> list[tuple[str, str]]:
    """What a browser would send of the settings form, as it stands."""
    form = page.split('class="settings-form"', 1)[1].split("</form>", 1)[0]
    sent = re.findall(r'<input class="ds-input" id="[^"]*" name="([^"]+)"[^>]*? value="([^"]*)"', form)
    sent += re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.DOTALL)
    sent += [
        (name, value or "on")
        for name, value in re.findall(r'type="checkbox"[^>]*? name="([^"]+)"(?: value="([^"]*)")? checked', form)
    ]
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        sent.append((name, re.findall(r"<option selected>([^<]*)", options)[0]))
    return sent


async def test_a_setting_is_changed_without_a_restart_of_the_hub(it: tuple[Hub, aiohttp.ClientSession]) -> None:
    hub, browser = it
    enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    before = hub.host.plugins["checkin"].instance
    page = await (await browser.get("/plugins/checkin/settings")).text()
    assert "konfigurasjonsfila" in page
    fields = dict(sent_from(page))
    assert fields["keep_hours"] == "24"
    assert fields["searches_per_minute"] == "1000"

    wrong = await browser.post(
        "/plugins/checkin/settings", data=fields | {"keep_hours": "9999", "day_ends_at_hour": "x"}
    )
    text = await wrong.text()
    assert wrong.status == 422
    assert re.search(r'id="day_ends_at_hour"[^>]*aria-invalid="true"', text)
    assert hub.host.plugins["checkin"].instance is before
    wrong = await browser.post("/plugins/checkin/settings", data=fields | {"keep_hours": "9999"})
    text = await wrong.text()
    assert re.search(r'id="keep_hours"[^>]*value="9999"[^>]*aria-invalid="true"', text)
    assert "Må vere høgst 720" in text

    good = await browser.post("/plugins/checkin/settings", data=fields | {"keep_hours": "12"})
    assert good.status == 200
    plugin = hub.host.plugins["checkin"]
    assert plugin.instance is not before
    assert plugin.state == "running"
    assert plugin.settings is not None
    assert plugin.settings.model_dump()["keep_hours"] == 12
    async with KioskClient(enrolment).connected() as client:
        assert (await client.register((await client.search("kari")).hosts[0].id)).result == "registered"
    entry = next(one for one in await hub.store.read(audit.newest) if one.action == "plugin.settings_changed")
    assert (entry.actor, entry.subject, entry.details) == ("ikt", "checkin", {"keys": ["keep_hours"]})
    assert "ikt" in await (await browser.get("/plugins/checkin/settings")).text()

    await browser.post("/plugins/checkin/file")
    assert hub.host.plugins["checkin"].settings.model_dump()["keep_hours"] == 24  # type: ignore[union-attr]
    assert await hub.store.read(choices) == {}


async def test_what_was_chosen_holds_after_a_restart(settings: dict[str, Any], tmp_path: Path) -> None:
    for number in range(2):
        async with running_hub(settings, tmp_path) as hub:
            if number == 0:
                await hub.accounts.put("ikt", PASSWORD, frozenset({"it"}), "test")
            address = hub.settings.web.address
            async with aiohttp.ClientSession(address, headers={"Accept": "text/html", "Origin": address}) as browser:
                await browser.post("/login", data={"name": "ikt", "password": PASSWORD})
                if number == 0:
                    assert (await browser.get("/doors")).status == 200
                    await browser.post("/plugins/locks/switch", data={"on": "no"})
                assert hub.host.plugins["locks"].state == "off"
                assert (await browser.get("/doors")).status == 404
                page = await (await browser.get("/plugins")).text()
                assert 'href="/doors"' not in page
                assert "checkin_visit" in page
                assert "kiosk/+/up/visit" in page
                if number == 1:
                    await browser.post("/plugins/locks/switch", data={"on": "yes"})
                    assert (await browser.get("/doors")).status == 200
                    actions = [one.action for one in await hub.store.read(audit.newest) if one.subject == "locks"]
                    assert actions == ["plugin.switched_on", "plugin.switched_off"]


@pytest.mark.parametrize("name", ["directory", "checkin", "notify", "signage", "locks"])
async def test_a_form_sent_as_it_stands_changes_nothing(it: tuple[Hub, aiohttp.ClientSession], name: str) -> None:
    hub, browser = it
    before = hub.host.plugins[name].settings
    page = await (await browser.get(f"/plugins/{name}/settings")).text()
    answer = await browser.post(
        f"/plugins/{name}/settings", data=[(key, unescaped(value)) for key, value in sent_from(page)]
    )
    assert answer.status == 200, await answer.text()
    assert hub.host.plugins[name].settings == before


def unescaped(text: str) -> str:
    return (
        text.replace("&#39;", "'").replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    )


class Inner(PluginSettings):
    port: int = Field(default=1, ge=1)
    names: list[str] = Field(default_factory=list)


class Model(PluginSettings):
    inner: Inner | None = None
    kind: Literal["a", "b"] = "a"
    is_on: bool = False
    roles: frozenset[Literal["x", "y"]] = frozenset({"x"})
    mixed: dict[str, int] = Field(default_factory=dict)
    needed: str


def test_every_kind_of_field_comes_back_as_it_went() -> None:
    form = form_of(Model, {"needed": "n"})
    assert [one.kind for one in form] == ["group", "choice", "switch", "choices", "yaml", "text"]
    sent = {
        "inner:used": "on",
        "inner.port": "7",
        "inner.names": "a\nb\n",
        "kind": "b",
        "is_on": "on",
        "mixed": "k: 3",
        "needed": "n",
    }
    section = section_of(form, sent, lambda _name: ["y"])
    assert section == {
        "inner": {"port": 7, "names": ["a", "b"]},
        "kind": "b",
        "is_on": True,
        "roles": ["y"],
        "mixed": {"k": 3},
        "needed": "n",
    }
    assert Model.model_validate(section).inner == Inner(port=7, names=["a", "b"])
    with pytest.raises(FormError, match=r"inner\.port: .*mixed: is not written as in the file"):
        section_of(form, sent | {"inner.port": "seven", "mixed": "["}, lambda _name: [])
    with pytest.raises(ValidationError) as raised:
        Model.model_validate(section | {"inner": {"port": 0}, "mixed": {"k": "z"}})
    assert set(mistakes_of(form, raised.value)) == {"inner.port", "mixed"}
