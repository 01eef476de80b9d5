"""The demo has rules, cards and floor plans, made by the API; and people who come to its doors by themselves."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hub.configuration.shipped import shipped
from hub.demo.requests import ApiRequest, DemoRequestError, send_once
from hub.demo.town_hall import Demo, Ports, demo_configuration
from hub.hub import Hub
from plugins.locks.store import rows
from tests.conftest import free_port, needs, until

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[tuple[Hub, Demo]]:
    needs("mosquitto")
    ports = Ports(*(free_port() for _ in range(5)))
    hub = Hub(demo_configuration(tmp_path, ports))
    async with hub.running():
        demo = Demo(hub, ports)
        await demo.prepare()
        yield hub, demo


async def test_rules_cards_and_plans_are_there_once(town: tuple[Hub, Demo]) -> None:
    hub, demo = town
    locks = hub.host.plugins["locks"].instance
    for _ in range(2):
        assert locks.access.rule_book.rules[0].name == "Tilsette, dag og kveld"
        assert len(locks.access.rule_book.rules) == 3
        assert len(locks.access.rule_book.credentials) == 13
        assert {one.person for one in locks.access.rule_book.credentials} <= locks.access.names.keys() | {None}
        doors = {one.id for one in hub.devices.of_kind("door")}
        assert {one.door for one in await locks.plans.placed()} == doors
        assert len(await locks.plans.all()) == 2
        assert await hub.tokens.all() == []
        await demo.prepare()


async def test_every_door_lets_somebody_in_and_somebody_not(town: tuple[Hub, Demo], tmp_path: Path) -> None:
    hub, _ = town
    locks = hub.host.plugins["locks"].instance
    door = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devices.door", tmp_path / "devices" / "door-1.json", "--simulate",
        "--state", tmp_path / "door-1", "--passers", shipped("demo/passers/staff.txt"), "--every", "0.05", "--exit-with-parent",
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:

        async def happened() -> set[tuple[str, str]]:
            commands = await hub.store.read(rows.latest_commands)
            assert {one.actor for one in commands} <= {rows.AT_READER}
            return {(one.verb, one.why or "") for one in commands}

        async with asyncio.timeout(30):
            while not {("pulse", ""), ("deny", "unknown")} <= await happened():
                await asyncio.sleep(0.1)
        reports = await hub.store.read(rows.latest_reports)
        await until(lambda: locks.states.of("door-1").list_version > 0)
        assert "exit_button" in {one.kind for one in reports}
    finally:
        assert door.stdin
        door.stdin.close()
        assert await door.wait() == 0


async def test_a_start_that_was_broken_off_goes_on_where_it_was(town: tuple[Hub, Demo], tmp_path: Path) -> None:
    hub, _ = town
    rule = {"who": {"everybody": True}, "where": {"everywhere": True}}
    requests = [ApiRequest(method="POST", path="/access-rules", body=rule | {"name": name}) for name in ("A", "B", "C")]
    done = tmp_path / "done"
    done.write_text("1")
    await send_once(hub, requests, done)
    await send_once(hub, requests, done)
    kept = [one.name for one in hub.host.plugins["locks"].instance.access.rule_book.rules]
    assert kept[-2:] == ["B", "C"]
    assert len(kept) == 5


async def test_what_the_hub_does_not_take_is_told_and_asked_again_at_the_next_start(
    town: tuple[Hub, Demo], tmp_path: Path
) -> None:
    hub, _ = town
    wrong = [ApiRequest(method="POST", path="/access-rules", body={"name": "X", "whom": {}})]
    done = tmp_path / "done"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hub.demo.requests.RETRY_SECONDS", 0.0)
        with pytest.raises(DemoRequestError, match=r"/access-rules.*whom"):
            await send_once(hub, wrong, done)
    assert not done.exists()
    assert await hub.tokens.all() == []


async def test_nobody_comes_from_an_empty_file_or_to_a_real_door(town: tuple[Hub, Demo], tmp_path: Path) -> None:
    (tmp_path / "nobody.txt").write_text("# nobody\n")
    enrolment = tmp_path / "devices" / "door-1.json"
    for options, said in (
        (("--simulate", "--passers", str(tmp_path / "nobody.txt")), b"nobody comes"),
        (("--pins", "pins.json", "--passers", "x"), b"--passers goes with --simulate"),
        (("--simulate", "--passers", "x", "--every", "0"), b"--every: invalid"),
    ):
        door = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "devices.door", enrolment, *options, stderr=asyncio.subprocess.PIPE
        )
        _, told = await door.communicate()
        assert door.returncode == 2
        assert said in told
