"""Plugins: any but `directory` can be switched off, and the failure of one is its own."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from devices.contract import kiosk
from hub.hooks import specifications
from hub.hooks.pausable_timeout import PausableTimeout
from hub.hub import Hub
from hub.store.store import now
from plugins.checkin.contract import present
from plugins.directory.contract import Person, find_hosts
from plugins.notify.contract import can_reach
from tests.api_client import browser
from tests.conftest import running_hub, until
from tests.kiosk_client import KioskClient, a_visit

CONTRACTS = ("directory", "notify", "checkin", "signage")
ALL = ["checkin", "notify", "signage", "locks"]

HOSTILE = """
import asyncio, time
from hub.api.operations import Call, Nothing, operation
from hub.plugin import Context, PluginSettings, hookimpl
from hub.plugin.hooks import Health, MenuEntry
from plugins.checkin.contract import Present
from plugins.directory.contract import Person

class Settings(PluginSettings):
    mood: str = "raise"

{before}

class Plugin:
    settings_model = Settings

    def __init__(self, context, settings):
        self.context, self.mood = context, settings.mood

    async def start(self):
        self.context.run("storm", self.storm)
        self.context.pages.public("GET", "/hostile", self.page)
        self.context.api.offer(self)

    async def storm(self):
        await self.act()

    async def page(self, request):
        await self.act()

    @operation("GET", "/hostile", summary="Fails", scope=None, roles=set())
    async def fail(self, call: Call[Nothing, Nothing, Nothing]) -> None:
        if self.mood == "hang":
            await self.act()
        raise ValueError("Kari Nordmann")

    async def act(self):
        if self.mood == "raise":
            raise RuntimeError("hostile")
        if self.mood == "hang":
            await asyncio.sleep(3600)
        if self.mood == "block":
            time.sleep(0.6)

    @hookimpl
    async def find_hosts(self, text, limit):
        await self.act()
        return []

    @hookimpl
    async def present(self):
        await self.act()
        return []

    @hookimpl
    async def can_reach(self, person):
        await self.act()
"""


def drop(folder: Path, before: str = "") -> Path:
    plugin = folder / "plugins" / "hostile"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text(HOSTILE.replace("{before}", before))
    return folder / "plugins"


@pytest.mark.parametrize("off", [[name] for name in ALL] + [ALL])
async def test_each_can_be_switched_off_and_the_rest_works(
    settings: dict[str, Any], tmp_path: Path, off: list[str]
) -> None:
    settings["plugins"] |= dict.fromkeys(off, False)
    async with running_hub(settings, tmp_path) as hub:
        assert {name for name, plugin in hub.host.plugins.items() if plugin.state == "running"} == {
            "directory",
            *ALL,
        } - set(off)
        assert not any(hub.problems().values())
        assert [
            person.name
            for found in await hub.hooks.all(find_hosts, text="kari", limit=5, device="kiosk-1")
            for person in found
        ] == ["Kari Nordmann"]
        async with aiohttp.ClientSession() as browser:
            for path, plugin in (("/kiosk", "checkin"), ("/screen", "signage")):
                answer = await browser.get(hub.settings.web.address + path)
                assert answer.status == (404 if plugin in off else 200)
        if "checkin" not in off:
            enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
            async with KioskClient(enrolment).connected() as client:
                assert (await client.register((await client.search("kari")).hosts[0].id)).result == "registered"


async def hostile_hub(settings: dict[str, Any], folder: Path, mood: str, before: str = "") -> Any:
    settings["plugin_directory"] = str(drop(folder, before))
    settings["plugins"]["hostile"] = {"mood": mood}
    return running_hub(settings, folder)


@pytest.mark.parametrize("mood", ["raise", "hang"])
async def test_a_plugin_that_raises_or_hangs_is_left_out_of_the_answers(
    settings: dict[str, Any], tmp_path: Path, mood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs is waited for as long as was promised, and then for a tenth of it: the visitor waits too."""
    waits: list[float] = []

    def patience(seconds: float) -> PausableTimeout:
        waits.append(seconds)
        return PausableTimeout(seconds)

    async with await hostile_hub(settings, tmp_path, mood) as hub:
        monkeypatch.setattr("hub.hooks.asking.PausableTimeout", patience)
        for _ in range(2):
            found = await hub.hooks.all(find_hosts, text="kari", limit=5, device="kiosk-1")
            assert [person.name for people in found for person in people] == ["Kari Nordmann"]
        short = [one for one in waits if one <= 2]  # others, with longer limits, may be asked meanwhile
        assert short[:2] == [2, 2]
        assert min(short) == pytest.approx(0.2 if mood == "hang" else 2)
        assert hub.host.plugins["hostile"].last_failure is not None
        assert hub.host.plugins["directory"].last_failure is None


async def test_a_plugin_that_keeps_failing_is_quarantined_with_a_reason(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    async with await hostile_hub(settings, tmp_path, "raise") as hub:
        person = Person("x", "X", "Y")
        for _ in range(10):
            await hub.hooks.all(can_reach, person=person)
        hostile = hub.host.plugins["hostile"]
        assert hostile.state == "quarantined"
        assert hostile.reason is not None
        assert "RuntimeError at __init__.py" in hostile.reason
        assert hub.problems()["plugin hostile"] == hostile.reason
        before = len(hostile.failures)
        await hub.hooks.all(can_reach, person=person)
        assert len(hostile.failures) == before
        await hub.lifecycle.restart("hostile")
        assert hostile.state == "running"
        assert len(hostile.failures) <= 1  # forgiven; its loop may have failed anew


async def test_a_page_that_raises_is_a_problem_for_its_reader_only(settings: dict[str, Any], tmp_path: Path) -> None:
    async with await hostile_hub(settings, tmp_path, "raise") as hub, aiohttp.ClientSession() as browser:
        answer = await browser.get(hub.settings.web.address + "/hostile")
        assert answer.status == 500
        assert answer.content_type == "application/problem+json"
        assert "hostile" not in (await answer.json())["detail"]
        assert (await browser.get(hub.settings.web.address + "/livez")).status == 200


@pytest.mark.parametrize("path", ["/hostile", "/api/v1/hostile"])
async def test_nobody_ends_a_plugin_by_asking_for_what_fails(
    settings: dict[str, Any], tmp_path: Path, path: str
) -> None:
    async with await hostile_hub(settings, tmp_path, "quiet") as hub, browser(hub, "it") as nobody:
        for _ in range(12):
            assert (await nobody.get(hub.settings.web.address + path)).status == 500
        hostile = hub.host.plugins["hostile"]
        assert hostile.state == "running"
        assert re.match(r"(page /hostile: TypeError|operation get_hostile: ValueError) at ", str(hostile.last_failure))


async def test_an_operation_that_runs_into_its_time_limit_still_counts(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.api.serving.OPERATION_SECONDS", 0.02)
    async with await hostile_hub(settings, tmp_path, "hang") as hub, browser(hub, "it") as patient:
        for _ in range(10):
            assert (await patient.get("hostile")).status == 503
        assert hub.host.plugins["hostile"].state == "quarantined"


async def test_the_watchdog_names_who_blocks_the_loop(settings: dict[str, Any], tmp_path: Path) -> None:
    async with await hostile_hub(settings, tmp_path, "block") as hub:
        await hub.hooks.all(present)
        hostile = hub.host.plugins["hostile"]
        await until(lambda: hostile.last_failure and "blocked the loop" in hostile.last_failure)
        assert "hostile/__init__.py" in str(hostile.last_failure)
        assert "in act" in str(hostile.last_failure)


@pytest.mark.parametrize("before", ["raise RuntimeError('no')", "import no_such_module", "1/0", "def"])
async def test_a_plugin_that_cannot_be_imported_stops_nobody(
    settings: dict[str, Any], tmp_path: Path, before: str
) -> None:
    settings["plugin_directory"] = str(drop(tmp_path, before))
    async with running_hub(settings, tmp_path) as hub:
        assert hub.host.plugins["hostile"].state == "failed"
        assert "cannot be imported" in str(hub.host.plugins["hostile"].reason)
        assert len(await hub.hooks.all(find_hosts, text="kari", limit=5, device="kiosk-1")) == 1


async def test_quarantine_ends_its_jobs_and_trying_again_starts_them(settings: dict[str, Any], tmp_path: Path) -> None:
    async with await hostile_hub(settings, tmp_path, "hang") as hub:
        hostile = hub.host.plugins["hostile"]
        for number in range(10):
            hub.host.failed("hostile", f"test {number}", RuntimeError())
        assert hostile.state == "quarantined"
        await until(lambda: not hostile.loops)
        await hub.lifecycle.restart("hostile")
        assert hostile.state == "running"
        assert [loop.done() for loop in hostile.loops.values()] == [False]


async def test_quarantine_ends_by_itself_with_growing_waits(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever caused it may be over; nobody should have to press a button at night."""
    monkeypatch.setattr("hub.hosting.lifecycle.FIRST_RETRY_SECONDS", 0.1)
    async with await hostile_hub(settings, tmp_path, "hang") as hub:
        hostile = hub.host.plugins["hostile"]
        waits: list[float] = []
        for _ in range(3):
            for number in range(10):
                hub.host.failed("hostile", f"test {number}", RuntimeError())
            assert hostile.state == "quarantined"
            due = await until(lambda: hostile.retry_at)
            waits.append((due - now()).total_seconds())
            await until(lambda: hostile.state == "running")
            assert hostile.retry_at is None
        assert waits[0] < waits[1] < waits[2]


async def test_a_plugin_that_did_not_start_is_started_again(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.hosting.lifecycle.LONGEST_RETRY_SECONDS", 0.2)
    folder = drop(tmp_path, "raise RuntimeError('no')")
    settings["plugin_directory"] = str(folder)
    async with running_hub(settings, tmp_path) as hub, aiohttp.ClientSession() as browser:
        hostile = hub.host.plugins["hostile"]
        await until(lambda: hostile.state == "failed")  # and not in the middle of being tried again
        path = folder / "hostile" / "__init__.py"
        path.write_text(path.read_text().replace("raise RuntimeError('no')", "").replace('= "raise"', '= "quiet"'))
        await until(lambda: hostile.state == "running")
        answer = await browser.get(hub.settings.web.address + "/hostile")
        assert answer.status == 500  # it is there, although it does not answer what a page must
        await hub.lifecycle.switch("hostile", is_on=False)
        assert (await browser.get(hub.settings.web.address + "/hostile")).status == 404


async def test_a_hook_that_is_no_coroutine_is_refused_by_name(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = drop(tmp_path)
    path = folder / "hostile" / "__init__.py"
    path.write_text(path.read_text().replace("async def present", "def present").replace("await self.act()", "pass"))
    settings["plugin_directory"] = str(folder)
    async with running_hub(settings, tmp_path) as hub:
        assert "write `async def present`" in str(hub.host.plugins["hostile"].reason)


@pytest.mark.parametrize("wanted", ["1.1", "2.99", "3.0", "newest"])
async def test_a_plugin_for_another_version_is_not_imported(
    settings: dict[str, Any], tmp_path: Path, wanted: str
) -> None:
    settings["plugin_directory"] = str(drop(tmp_path, f'kommunevert_api = "{wanted}"\nraise SystemExit'))
    async with running_hub(settings, tmp_path) as hub:
        assert f"{wanted}" in str(hub.host.plugins["hostile"].reason)
        assert "is not loaded" in str(hub.host.plugins["hostile"].reason)


async def test_a_visit_waits_for_the_directory_instead_of_being_refused(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """In quarantine, failed, or never read yet: the kiosk keeps the visit and sends it again."""
    async with running_hub(settings, tmp_path) as hub:
        directory = hub.host.plugins["directory"]
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as client:
            host = (await client.search("kari")).hosts[0].id
            for number in range(10):
                hub.host.failed("directory", f"test {number}", RuntimeError())
            assert directory.state == "quarantined"
            visit = a_visit(host)
            client.say("visit", visit)
            unknown = a_visit("nobody")
            client.say("visit", unknown)
            with pytest.raises(TimeoutError):
                await client.hear(kiosk.Receipt, seconds=0.5)
            await hub.lifecycle.restart("directory")
            await until(lambda: directory.instance and len(directory.instance.people))
            client.say("visit", visit)
            assert (await client.hear(kiosk.Receipt, of=visit.id)).result == "registered"
            client.say("visit", unknown)
            assert (await client.hear(kiosk.Receipt, of=unknown.id)).result == "refused"
            directory.instance.directory.read_at = None
            directory.instance.people.replace({}, {})
            early = a_visit(host)
            client.say("visit", early)
            with pytest.raises(TimeoutError):
                await client.hear(kiosk.Receipt, of=early.id, seconds=0.5)
            assert hub.host.plugins["checkin"].last_failure is None
            assert directory.state == "running"


async def test_a_hook_that_does_not_fit_is_refused_by_name(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = drop(tmp_path)
    path = folder / "hostile" / "__init__.py"
    path.write_text(path.read_text().replace("find_hosts(self, text, limit)", "find_hosts(self, tekst)"))
    settings["plugin_directory"] = str(folder)
    async with running_hub(settings, tmp_path) as hub:
        assert "tekst" in str(hub.host.plugins["hostile"].reason)
        assert hub is not None


def test_every_hook_is_documented_with_its_signature() -> None:
    page = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()
    declaring = [specifications, *(importlib.import_module(f"plugins.{one}.contract") for one in CONTRACTS)]
    hooks = {name: one for module in declaring for name, one in vars(module).items() if hasattr(one, "within_seconds")}
    assert len(hooks) > 10
    for name, hook in hooks.items():
        assert hook.__doc__, name
        signature = str(inspect.signature(hook)).replace(str(specifications.Role), "Role")
        signature = re.sub(r"\b(?:hub|plugins|devices)\.[a-z_.]+\.(?=[A-Z])", "", signature)
        assert f"{name}{signature}" in page, f"docs/plugins.md lacks `{name}{signature}`"


async def test_hub(hub: Hub) -> None:
    """The hub itself is in order on both databases."""
    assert not any(hub.problems().values())
