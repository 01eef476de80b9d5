"""The two kinds of broker whose accounts we keep, each alone with the hub's own connection to it."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devices.wire.connection import Address, Received
from hub.broker.accounts import BrokerAccounts
from hub.broker.dynamic_security import DynamicSecurity
from hub.broker.mosquitto import Broker
from hub.configuration.settings import OwnBroker
from tests.accounts.broker_client import BrokerClient
from tests.conftest import needs, until
from tests.ports import free_port

HUB_SECRET = "the hub's own secret"
PLUGINS = ("/usr/lib/*/mosquitto_dynamic_security.so", "/usr/lib/mosquitto_dynamic_security.so")


@asynccontextmanager
async def own(folder: Path) -> AsyncIterator[tuple[BrokerAccounts, BrokerClient, int]]:
    needs("mosquitto")
    port = free_port()
    broker = Broker(OwnBroker(port=port, websocket_port=free_port()), folder / "broker")
    await broker.start()
    try:
        async with BrokerClient(broker.address).connected() as hub:
            yield broker.accounts, hub, port
    finally:
        await broker.stop()


class _Hub(BrokerClient):
    def __init__(self, address: Address, accounts: DynamicSecurity) -> None:
        super().__init__(address)
        self._accounts = accounts
        accounts.attach(self.wire)

    def _take(self, received: Received) -> None:
        if not self._accounts.on_response(received):
            super()._take(received)

    def _lost(self) -> None:
        super()._lost()
        self._accounts.on_disconnected()


@asynccontextmanager
async def remote(folder: Path) -> AsyncIterator[tuple[BrokerAccounts, BrokerClient, int]]:
    async with dynamic_security_broker(folder) as port:
        accounts = DynamicSecurity("hub")
        async with _Hub(Address("127.0.0.1", port, "hub", HUB_SECRET), accounts).connected() as hub:
            await until_in_order(accounts, hub)
            yield accounts, hub, port


async def until_in_order(accounts: DynamicSecurity, hub: BrokerClient) -> None:
    """The broker cuts the hub once, when it gets its role."""
    for _ in range(3):
        await until(lambda: hub.wire.connected)
        try:
            await accounts.all()
        except Exception:  # noqa: BLE001, S112 (the cut; asked again)
            continue
        return
    raise AssertionError("the hub did not get its role")


@asynccontextmanager
async def dynamic_security_broker(folder: Path) -> AsyncIterator[int]:
    """As an administrator sets it up: `mosquitto_ctrl dynsec init`, with the hub as its account."""
    program, control = needs("mosquitto"), needs("mosquitto_ctrl")
    plugin = next((path for pattern in PLUGINS for path in Path("/").glob(pattern[1:])), None)
    if plugin is None:
        if os.environ.get("KOMMUNEVERT_NO_SKIPS"):
            pytest.fail("Mosquitto's Dynamic Security plugin is not installed, and skips are forbidden")
        pytest.skip("Mosquitto's Dynamic Security plugin is not installed")
    folder.mkdir(exist_ok=True)
    port, state = free_port(), folder / "dynamic-security.json"
    await asyncio.to_thread(
        subprocess.run, [control, "dynsec", "init", state, "hub", HUB_SECRET], check=True, capture_output=True
    )
    assert json.loads(state.read_text())["clients"]
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous false",
        "set_tcp_nodelay true",
        f"plugin {plugin}",
        f"plugin_opt_config_file {state}",
        *(["user root"] if os.geteuid() == 0 else []),
    ]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    process = await asyncio.create_subprocess_exec(
        program, "-c", folder / "mosquitto.conf", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.terminate()
        await process.wait()
