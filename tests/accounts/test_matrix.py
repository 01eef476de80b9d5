"""Who may write and read what: every kind of account by every kind of topic, by what is delivered.

A broker may say "granted" and deliver nothing, or the other way round, so nothing here asks it what it thinks.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from devices.wire.connection import Address
from hub.broker.accounts import BrokerAccount, BrokerAccounts, mosquitto_hash
from hub.broker.dynamic_security import ACL_TYPES, CONTROL, DynamicSecurity
from hub.devices.admission import account_of
from hub.devices.gateways import Gateway
from hub.devices.registry import Device
from hub.store.store import now
from tests.accounts import brokers
from tests.accounts.broker_client import BrokerClient, is_refused
from tests.conftest import until

pytestmark = pytest.mark.slow

KINDS = {"kiosk-1": "kiosk", "kiosk-2": "kiosk", "screen-1": "screen", "door-1": "door"}
GATEWAYS = {"zigbee": ("zigbee2mqtt/#", True), "quiet": ("quiet/+/state", False)}
TOPICS = [
    *(f"kommunevert/test/{kind}/{name}/{direction}/x" for name, kind in KINDS.items() for direction in ("up", "down")),
    "kommunevert/test/kiosk/kiosk-1/x",
    "kommunevert/other/kiosk/kiosk-1/up/x",
    "kommunevert/test/hub/x",
    "homeassistant/sensor/a/config",
    "homeassistant/status",
    "zigbee2mqtt/lamp",
    "zigbee2mqtt/lamp/set",
    "quiet/one/state",
    "quiet/one/set",
    "elsewhere",
]
FILTERS = [
    *TOPICS,
    "#",
    "+/+/+/+/+/+",
    "kommunevert/#",
    "zigbee2mqtt/#",
    "quiet/#",
    "homeassistant/#",
    "$SYS/#",
    "$CONTROL/#",
]


def may_write(name: str) -> set[str]:
    if name in KINDS:
        return {f"kommunevert/test/{KINDS[name]}/{name}/up/x"}
    announcing = {"homeassistant/sensor/a/config", "homeassistant/status"}
    return {"zigbee": {"zigbee2mqtt/lamp", "zigbee2mqtt/lamp/set"} | announcing, "quiet": {"quiet/one/state"}}[name]


def may_read(name: str) -> set[str]:
    if name in KINDS:
        return {f"kommunevert/test/{KINDS[name]}/{name}/down/x"}
    return {
        "zigbee": {"zigbee2mqtt/lamp", "zigbee2mqtt/lamp/set", "homeassistant/status"},
        "quiet": {"quiet/one/state"},
    }[name]


def all_accounts() -> tuple[list[BrokerAccount], dict[str, str]]:
    names = {name: f"secret of {name}" for name in (*KINDS, *GATEWAYS)}
    devices = [Device(name, kind, name, "", mosquitto_hash(names[name]), now()) for name, kind in KINDS.items()]
    gateways = [
        Gateway(name, mosquitto_hash(names[name]), (only,), announces, now())
        for name, (only, announces) in GATEWAYS.items()
    ]
    return [*(account_of(one, "kommunevert", "test") for one in devices), *(one.account for one in gateways)], names


class Site:
    """One broker with an account of every kind."""

    def __init__(self, accounts: BrokerAccounts, hub: BrokerClient, port: int) -> None:
        self.accounts = accounts
        self.hub = hub
        self.port = port
        self.all, self.secrets = all_accounts()

    def address(self, name: str, secret: str | None = None) -> Address:
        return Address("127.0.0.1", self.port, name, secret or self.secrets[name])

    def client(self, name: str) -> BrokerClient:
        return BrokerClient(self.address(name))


@pytest_asyncio.fixture(params=["own", "remote"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    async with getattr(brokers, request.param)(tmp_path) as (accounts, hub, port):
        hub.wire.subscribe("#")
        hub.wire.subscribe("$SYS/broker/version")
        site = Site(accounts, hub, port)
        await accounts.put(site.all, site.secrets)
        yield site


async def test_the_matrix(site: Site) -> None:
    assert await site.accounts.all() == {one.name: one.mark for one in site.all}
    for name in site.secrets:
        async with site.client(name).connected() as client:
            for topic_filter in FILTERS:
                client.wire.subscribe(topic_filter)
                client.wire.subscribe(f"$share/{name}/{topic_filter}")
            for topic in TOPICS:
                client.wire.publish(topic, f"from {name}".encode())
            client.wire.publish(CONTROL, b'{"commands":[{"command":"createRole","rolename":"mine"}]}')
            mine, heard_by_me = min(may_write(name)), min(may_read(name))
            client.wire.publish(mine, f"{name} is done".encode())
            await site.hub.hears(mine, f"{name} is done")  # so all before it has been taken or thrown away
            written = {topic for topic, payload in site.hub.heard if payload == f"from {name}"}
            assert written == may_write(name), name

            client.heard.clear()  # what it wrote and may read
            for topic in TOPICS:
                site.hub.wire.publish(topic, f"for {name}".encode())
            site.hub.wire.publish(heard_by_me, b"that is all")
            await client.hears(heard_by_me, "that is all")
            read = {topic for topic, payload in client.heard if payload == f"for {name}"}
            assert read == may_read(name), name
            assert {topic for topic, _ in client.heard} <= may_read(name), (
                name
            )  # nothing retained, no $SYS, no $CONTROL
    await site.hub.hears("$SYS/broker/version", next(p for t, p in site.hub.heard if t.startswith("$SYS")))
    assert await site.accounts.all() == {one.name: one.mark for one in site.all}


async def test_a_client_id_belongs_to_its_account(site: Site) -> None:
    async with site.client("kiosk-1").connected() as victim:
        assert await is_refused(site.address("kiosk-1", "wrong"))
        assert await is_refused(site.address("nobody", "x"))
        await is_refused(site.address("kiosk-2"), client_id="kiosk-1")
        await is_refused(site.address("zigbee"), client_id="kiosk-1")
        await is_refused(site.address("kiosk-2"), client_id="hub")
        victim.wire.publish("kommunevert/test/kiosk/kiosk-1/up/x", b"still here")
        await site.hub.hears("kommunevert/test/kiosk/kiosk-1/up/x", "still here")
        assert victim.losses == 0
    assert site.hub.losses <= 1  # Dynamic Security's one cut when the hub got its role


async def test_removed_or_renewed_is_cut_at_once_and_others_stay(site: Site) -> None:
    async with (
        site.client("kiosk-1").connected() as first,
        site.client("door-1").connected() as second,
        site.client("screen-1").connected() as third,
    ):
        await site.accounts.remove(["kiosk-1", "never there"])
        await until_lost(first)
        assert await is_refused(site.address("kiosk-1"))

        renewed = next(one for one in site.all if one.name == "door-1")
        fresh = BrokerAccount(renewed.name, mosquitto_hash("new"), renewed.writes, renewed.reads)
        await site.accounts.put([fresh], {"door-1": "new"})
        await until_lost(second)
        assert await is_refused(site.address("door-1"))
        assert not await is_refused(site.address("door-1", "new"))

        assert third.losses == 0
        assert set(await site.accounts.all()) == set(site.secrets) - {"kiosk-1"}


async def test_what_no_role_allows_is_denied_by_default(tmp_path: Path) -> None:
    async with brokers.remote(tmp_path) as (accounts, _, _):
        assert isinstance(accounts, DynamicSecurity)
        found = await accounts._query({"command": "getDefaultACLAccess"})
        assert {one["acltype"]: one["allow"] for one in found["acls"]} == dict.fromkeys(ACL_TYPES, False)


async def until_lost(client: BrokerClient) -> None:
    await until(lambda: client.losses, seconds=2)
