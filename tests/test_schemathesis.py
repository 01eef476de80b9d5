"""schemathesis calls every operation of a real hub, with good and bad requests, with a token of all scopes and of none.

The seed is fixed and the number of requests bounded, so that it takes seconds and finds the same each time.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from devices.wire.connection import Address
from hub.api.scopes import scopes_of
from hub.configuration.settings import Configuration
from hub.hub import Hub
from tests.accounts.broker_client import BrokerClient
from tests.conftest import until_async
from tests.hub_process import HubProcess
from tests.kiosk_client import KioskClient

ROOT = Path(__file__).parents[1]
SECONDS = 150
MIN_CASES = 900
OPTIONS = (
    "--checks=all",
    "--phases=examples,coverage,fuzzing,stateful",
    "--generation-deterministic",
    "--max-examples=5",
    "--continue-on-failure",
    "--request-timeout=10",
    "--workers=1",  # CPython 3.11 cannot parse its own syntax tree in two threads at once
    "--no-color",
    "--exclude-path=/api/v1/events",  # it does not end; tests/test_api_events.py
)


@dataclass(frozen=True)
class Prepared:
    address: str
    all_scopes: str
    no_scope: str
    ids: dict[str, list[str]]


@pytest_asyncio.fixture
async def prepared(settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[Prepared]:
    """A hub that runs, with a visit, a notice and people in it: what the requests can be about."""
    settings["web"]["api_requests_per_minute"] = 1_000_000
    process = HubProcess(settings, tmp_path)
    kiosks = await process.enrol(4)
    hub = Hub(Configuration.read(process.config))
    async with hub.store_only():
        scopes = frozenset(scopes_of(hub.operations()))
        _, all_scopes = await hub.tokens.make("all", scopes, "test")
        gate = await hub.admission.add_gateway("gate", ["x/#"], "test")
        _, no_scope = await hub.tokens.make("none", frozenset({"nothing:read"}), "test")
    await process.start()
    try:
        headers = {"Authorization": f"Bearer {all_scopes}"}
        async with aiohttp.ClientSession(f"{process.address}/api/v1/", headers=headers) as api:
            people = await until_async(lambda: _items(api, "people"))
            async with KioskClient(kiosks[0]).connected() as kiosk:
                for person in people[:2]:
                    await kiosk.register(person)
            gateway = BrokerClient(Address("127.0.0.1", settings["broker"]["port"], "gate", gate))
            async with gateway.connected():
                for name, component in (("heat", "sensor"), ("lamp", "switch")):
                    config = {"unique_id": name, "state_topic": f"x/{name}", "command_topic": f"x/{name}/set"}
                    gateway.wire.publish(
                        f"homeassistant/{component}/{name}/config", json.dumps(config).encode(), retain=True
                    )
                await until_async(lambda: _items(api, "found-devices"))
            notice = {"title": {"nn": "Velkomen"}}
            for _ in range(3):
                assert (await api.post("notices", json=notice)).status == 201
            for name in ("Alle", "Kveld"):
                rule = {"name": name, "who": {"everybody": True}, "where": {"everywhere": True}}
                assert (await api.post("access-rules", json=rule)).status == 201
                plan = {"name": name, "picture": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>'}
                assert (await api.post("door-plans", json=plan)).status == 201
            names = (
                "access-rules",
                "door-plans",
                "visits",
                "people",
                "notices",
                "devices",
                "tokens",
                "entities",
                "found-devices",
            )
            ids = {name.removesuffix("s"): await _items(api, name) for name in names}
        yield Prepared(process.address, all_scopes, no_scope, ids)
    finally:
        await process.stop()


async def _items(api: aiohttp.ClientSession, path: str) -> list[str]:
    async with api.get(path) as answer:
        return [one["id"] for one in (await answer.json())["items"]]


@pytest.mark.parametrize("scopes", ["all_scopes", "no_scope"])
async def test_no_request_finds_a_fault(prepared: Prepared, scopes: str, tmp_path: Path) -> None:
    known = prepared.ids | {
        "person": prepared.ids["people"],
        "entity": prepared.ids["entitie"],
        "device": prepared.ids["device"] + prepared.ids["found-device"],
        "account": ["gate"],
        "rule": prepared.ids["access-rule"],
        "plan": prepared.ids["door-plan"],
        "plugin": ["notify"],  # it may be switched off and on
    }
    del known["entitie"], known["access-rule"], known["door-plan"]
    dictionaries = "".join(f"[dictionaries.{name}]\nvalues = {json.dumps(ids)}\n" for name, ids in known.items())
    bound = "".join(f'"path.{name}" = {{dictionary = "{name}", probability = 0.7}}\n' for name in known)
    own = (ROOT / "tests" / "schemathesis.toml").read_text()
    (tmp_path / "schemathesis.toml").write_text(f"{dictionaries}\n[parameters]\n{bound}\n{own}")
    done = await asyncio.to_thread(
        subprocess.run,
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{prepared.address}/api/openapi.json",
            f"--header=Authorization: Bearer {getattr(prepared, scopes)}",
            *OPTIONS,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-12_000:]
    passed = re.search(r"(\d+) generated, (\d+) passed", text)
    assert passed is not None, text[-3000:]
    assert int(passed[2]) > MIN_CASES
    assert "Authentication failed" not in text or scopes == "no_scope", text[-3000:]
