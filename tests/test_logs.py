"""What the hub writes down of an error: where and of which kind, never what it says."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from devices.contract.kiosk import Search
from hub.api.operations import Query, Request
from hub.cli import logs
from hub.cli.logs import frames
from hub.devices.mqtt import refused_total
from hub.hooks.limits import Limiter
from hub.hub import Hub
from hub.store.store import Store
from tests.conftest import until
from tests.hub_process import HubProcess
from tests.kiosk_client import KioskClient

WHO = "Kari Nordmann"

RAISING = """
from hub.plugin import Context, PluginSettings

class Plugin:
    settings_model = PluginSettings

    def __init__(self, context, settings):
        context.pages.public("GET", "/raising", self.page)

    async def start(self):
        pass

    async def page(self, request):
        try:
            raise LookupError(" ".join(["Kari", "Nordmann"]))
        except LookupError as error:
            raise ValueError(" ".join(["Kari", "Nordmann"])) from error
"""


async def test_a_page_that_raises_is_logged_without_what_it_says(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "raising"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(RAISING)
    hub = HubProcess(settings | {"plugin_directory": str(folder.parent)}, tmp_path)
    await hub.start()
    async with aiohttp.ClientSession() as browser:
        assert (await browser.get(f"{hub.address}/raising")).status == 500
    await hub.stop()
    log = hub.log.read_text()
    assert "request_failed" in log
    assert "builtins.LookupError" in log
    assert "builtins.ValueError" in log
    assert "in page" in log
    assert WHO not in log


def test_what_led_to_an_error_and_its_parts_are_told_by_type() -> None:
    def fail() -> None:
        raise ExceptionGroup(WHO, [OSError(WHO), ValueError(WHO)])

    try:
        try:
            fail()
        except ExceptionGroup:
            raise RuntimeError(WHO)  # noqa: B904 (its context is what is looked for)
    except RuntimeError as error:
        told = frames(error)
    assert WHO not in told
    assert [line for line in told.splitlines() if line.startswith("builtins.")] == [
        "builtins.ExceptionGroup",
        "builtins.OSError",
        "builtins.ValueError",
        "builtins.RuntimeError",
    ]
    assert "in fail" in told


def test_an_error_that_is_its_own_cause_is_told_once() -> None:
    error = ValueError(WHO)
    error.__cause__ = error
    assert frames(error) == "builtins.ValueError"


@pytest.mark.slow
def test_what_libraries_log_is_without_text_too() -> None:
    script = f"""
import logging
from hub.cli import logs
logs.set_up(as_json=True)
try:
    raise ValueError(" ".join({WHO.split()}))
except ValueError:
    logging.getLogger("asyncio").exception("lost")
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    assert "lost" in told
    assert "builtins.ValueError" in told
    assert WHO not in told


async def test_a_database_error_is_without_what_was_written(store_url: str) -> None:
    store = Store(store_url)
    await store.open()
    with pytest.raises(SQLAlchemyError) as raised:
        await store.write(
            lambda connection: connection.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": WHO})
        )
    await store.close()
    assert WHO not in str(raised.value)


@pytest.mark.parametrize("base", [Request, Query])
def test_what_was_sent_is_not_in_the_error(base: type[BaseModel]) -> None:
    class Numbered(base):  # type: ignore[valid-type, misc]
        number: int

    with pytest.raises(ValidationError) as raised:
        Numbered.model_validate({"number": WHO})
    assert WHO not in str(raised.value)
    with pytest.raises(ValidationError) as raised:
        Search.model_validate({"id": "x", "text": {"name": WHO}})
    assert WHO not in str(raised.value)


def test_of_one_kind_of_line_there_are_only_so_many() -> None:
    enough = logs.RateLimit(limit=3, seconds=3600)
    kept = 0
    for n in range(10):
        with suppress(structlog.DropEvent):
            enough(None, "warning", {"event": "message_refused", "n": n})
            kept += 1
    assert kept == 3
    assert enough(None, "warning", {"event": "another"}) == {"event": "another"}
    enough._limit = Limiter(3, 60)
    assert enough(None, "warning", {"event": "message_refused"})["suppressed"] == 7


def test_a_long_text_is_cut() -> None:
    found = logs.truncated(None, "warning", {"event": "x", "why": "a" * 10_000, "exception": "b" * 20_000 + "the end"})
    assert len(found["why"]) == logs.MAX_TEXT_LENGTH + 1
    assert found["exception"].endswith("the end")
    assert len(found["exception"]) < 10_000


async def test_two_devices_that_flood_write_no_more_than_a_few_lines(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """In turn, on topics of their choosing, with keys of their choosing: none of it is in the log."""
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(
        "hub.devices.mqtt.log",
        SimpleNamespace(warning=lambda event, **values: lines.append({"event": event, **values})),
    )
    enrolments = [await hub.enroller.enrol(f"kiosk-{n}", "kiosk", "Nettbrett", "", "test") for n in (1, 2)]
    async with KioskClient(enrolments[0]).connected() as one, KioskClient(enrolments[1]).connected() as other:
        refused = refused_total.labels("kiosk", "unknown topic")._value
        before = refused.get()
        for n in range(300):
            for kiosk in (one, other):
                kiosk.say(f"secret-{n}/{'x' * 300}", b'{"secret": 1}')
        many = refused_total.labels("kiosk", "too many")._value
        await until(lambda: refused.get() - before + many.get() >= 550, 30)
    assert 2 <= len(lines) <= 12
    assert "secret" not in str(lines)
