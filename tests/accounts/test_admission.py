"""The whole hub with both kinds of broker: accounts made, changed and taken away while it runs, also by the command line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner
from sqlalchemy import select

from devices.contract.door import KIND as DOOR
from devices.contract.enrolment import Enrolment
from devices.wire.connection import Address
from hub.broker.accounts import BrokerAccount, BrokerRefusedError
from hub.cli.main import main
from hub.devices.admission import TakenNameError
from hub.devices.gateways import FilterError, check_filter
from hub.hub import Hub
from hub.store.tables import waiting_secret
from tests.accounts import brokers
from tests.accounts.broker_client import BrokerClient, is_refused
from tests.conftest import running_hub, until, until_async
from tests.kiosk_client import KioskClient
from tests.test_production import command


@pytest_asyncio.fixture(params=["own", "remote"])
async def hub(request: pytest.FixtureRequest, settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[Hub]:
    async with AsyncExitStack() as stack:
        if request.param == "remote":
            port = await stack.enter_async_context(brokers.dynamic_security_broker(tmp_path / "broker"))
            (tmp_path / "secret").write_text(brokers.HUB_SECRET)
            settings["broker"] = {
                "kind": "external", "host": "127.0.0.1", "port": port,
                "secret_file": "secret", "accounts": "dynamic_security",
            }  # fmt: skip
        found = await stack.enter_async_context(running_hub(settings, tmp_path))
        await until(lambda: found.dynamic_security is None or found.dynamic_security._is_prepared)
        await until(lambda: found.problems()["accounts"] is None and found.problems()["mqtt"] is None)
        yield found


def address(hub: Hub, name: str, secret: str) -> Address:
    return Address("127.0.0.1", hub.settings.broker.port, name, secret)


async def told(hub: Hub, *arguments: str) -> str:
    """The command, with a hub of its own beside the one that runs; in a thread, for a process takes a second to begin."""
    done = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--config", hub.configuration.name])
    assert done.exit_code == 0, done.output
    return done.output


async def test_a_device_lives_and_dies(hub: Hub) -> None:
    enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    async with KioskClient(enrolment).connected() as kiosk:
        assert (await kiosk.search("kari")).hosts
        again = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        await until(lambda: not kiosk.wire.connected)
        assert await is_refused(address(hub, "kiosk-1", enrolment.secret))
    async with KioskClient(again).connected() as kiosk:
        assert (await kiosk.search("kari")).hosts
        await hub.enroller.revoke("kiosk-1", "test")
        await until(lambda: not kiosk.wire.connected)
        assert await is_refused(address(hub, "kiosk-1", again.secret))
    assert await hub.store.read(lambda c: c.execute(select(waiting_secret)).all()) == []


async def test_what_the_broker_keeps_for_a_device_goes_with_it(hub: Hub) -> None:
    wire, heard = hub.mqtt.wire, dict[str, bytes]()
    assert wire is not None
    take = wire._on_message
    wire._on_message = lambda received: (heard.update({received.topic: received.payload}), take(received))[1]
    offer = "kommunevert/test/kiosk/{}/down/offer"
    first, second = offer.format("kiosk-1"), offer.format("kiosk-2")
    for name in ("kiosk-1", "kiosk-2"):
        await hub.enroller.enrol(name, "kiosk", "Nettbrett", "", "test")
    wire.subscribe(offer.format("+"))
    await until(lambda: heard.get(first) and heard.get(second))
    gone = hub.devices.require("kiosk-1")
    await hub.enroller.revoke("kiosk-1", "test")
    await until(lambda: heard[first] == b"")
    assert not hub.mqtt.send("checkin", gone, "offer", None)
    heard.clear()
    wire.subscribe(offer.format("+"))
    await until(lambda: second in heard)
    assert first not in heard

    wire.publish(first, b"left from when the broker was away", retain=True)
    await until(lambda: heard.get(first))
    hub._to_project.set()
    await until(lambda: heard[first] == b"")


async def test_the_command_line_beside_a_hub_that_runs(hub: Hub) -> None:
    """A gateway's account, a tablet and a door: all can connect within seconds, and be cut."""
    said = await told(hub, "account", "add", "zigbee", "--topic", "zigbee2mqtt/#", "--topic", "zigbee/+/set")
    secret = said.split("password")[1].strip()
    await until(lambda: hub.gateways.get("zigbee"))
    assert "zigbee2mqtt/# zigbee/+/set  announces" in await told(hub, "account", "list")
    async with BrokerClient(address(hub, "zigbee", secret)).connected() as zigbee:
        zigbee.wire.subscribe("zigbee2mqtt/#")
        zigbee.wire.publish("zigbee2mqtt/lamp", b"on")
        await zigbee.hears("zigbee2mqtt/lamp", "on")
        await told(hub, "account", "remove", "zigbee")
        await until(lambda: not zigbee.wire.connected)
        assert await is_refused(address(hub, "zigbee", secret))

    link = await told(hub, "device", "add", "kiosk-7", "--kind", "kiosk")
    await until(lambda: hub.devices.get("kiosk-7"))
    broker = hub.settings.broker
    tablet = Enrolment(site="test", kind="kiosk", device="kiosk-7", secret=link.split("secret=")[1].split("&")[0], port=broker.port)  # fmt: skip
    async with KioskClient(tablet).connected() as kiosk:
        assert (await kiosk.search("kari")).hosts

    await told(hub, "device", "add", "door-7", "--kind", DOOR)
    locks = hub.host.plugins["locks"].instance
    await until(lambda: locks.states.key("door-7") is not None)
    await until_async(lambda: none_waits(hub))


async def none_waits(hub: Hub) -> bool:
    """The broker has been told all secrets, and none is kept."""
    return await hub.store.read(lambda c: c.execute(select(waiting_secret)).all()) == []


async def test_what_the_broker_has_lost_is_told(settings: dict[str, Any], tmp_path: Path) -> None:
    """A remote broker that comes back empty: what has only a hash in the store is named, and cured by a new account."""
    (tmp_path / "secret").write_text(brokers.HUB_SECRET)
    external = {"kind": "external", "host": "127.0.0.1", "secret_file": "secret", "accounts": "dynamic_security"}
    for name in ("first", "second"):
        async with brokers.dynamic_security_broker(tmp_path / name) as port:
            settings["broker"] = external | {"port": port}
            async with running_hub(settings, tmp_path) as hub:
                await until(lambda hub=hub: hub.dynamic_security._is_prepared and hub.problems()["accounts"] is None)
                if name == "first":
                    await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
                else:
                    await until(lambda hub=hub: hub.admission.missing_accounts == {"kiosk-1"})
                    fresh = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
                    assert not hub.admission.missing_accounts
                    assert not await is_refused(address(hub, "kiosk-1", fresh.secret))


async def test_names_are_one_persons_only(hub: Hub) -> None:
    await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    await hub.admission.add_gateway("zigbee", ["zigbee2mqtt/#"], "test")
    for name in ("kiosk-1", "hub"):
        with pytest.raises(TakenNameError):
            await hub.admission.add_gateway(name, ["x/#"], "test")
    for name in ("zigbee", "hub"):
        with pytest.raises(TakenNameError):
            await hub.enroller.enrol(name, "kiosk", "x", "", "test")


@pytest.mark.parametrize(
    "reaches",
    ["#", "+", "+/x", "+/#", "kommunevert", "kommunevert/#", "kommunevert/test/kiosk/kiosk-1/up/x", "$SYS/#",
     "kommunevert-shown/#", "kommunevert-shown/test/+/set/+", "$CONTROL/dynamic-security/v1", "$share/a/kommunevert/#", "", "a/#/b", "a/b#", "a/+b", "a\nuser hub", " a", "a\x00", "x" * 201],
)  # fmt: skip
def test_a_filter_stays_outside(reaches: str) -> None:
    with pytest.raises(FilterError):
        check_filter(reaches, "kommunevert")


def test_only_the_command_line_makes_an_account_that_gives_orders() -> None:
    check_filter("kommunevert-shown/#", "kommunevert", may_order=True)
    with pytest.raises(FilterError):
        check_filter("kommunevert/#", "kommunevert", may_order=True)


@pytest.mark.parametrize("good", ["zigbee2mqtt/#", "a/+/b", "homeassistant/#", "kommunevert2/#", "/x", "stove/æ ø"])
def test_a_filter_may_go_elsewhere(good: str) -> None:
    check_filter(good, "kommunevert")


def test_the_command_line_says_what_is_wrong_with_a_filter(config_file: Path) -> None:
    done = command("account", "add", "evil", "--topic", "kommunevert/#", "--config", config_file)
    assert done.returncode == 1
    assert "kommunevert/# is the hub's own" in done.stderr
    assert command("account", "remove", "evil", "--config", config_file).returncode == 1


async def test_an_account_of_somebody_else_stays_as_it_is(hub: Hub) -> None:
    """`admin` of a Mosquitto that has others, too, must not become a kiosk."""
    security = hub.dynamic_security
    if security is None:
        return  # the files of our own broker are ours alone
    await security._send(
        [{"command": "createClient", "username": "theirs", "password": "x", "textname": "ours, by hand"}]
    )
    with pytest.raises(TakenNameError, match="theirs"):
        await hub.enroller.enrol("theirs", "kiosk", "x", "", "test")
    with pytest.raises(TakenNameError, match="theirs"):
        await hub.admission.add_gateway("theirs", ["x/#"], "test")
    assert hub.devices.get("theirs") is None

    with pytest.raises(BrokerRefusedError, match="theirs"):  # enrolled while the broker was away
        await security.put([BrokerAccount("theirs", "", ("x",), ("x",))], {"theirs": "y"})
    await security.remove(["theirs"])
    client = await security._query({"command": "getClient", "username": "theirs"})
    assert client["client"]["textname"] == "ours, by hand"
