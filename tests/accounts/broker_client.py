"""An MQTT client that says what it is told to and remembers what it hears, for tests of who may do what."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from devices.wire.connection import Address, Received, Wire
from tests.conftest import until
from tests.patience import PATIENCE_SECONDS


class BrokerClient:
    def __init__(self, address: Address) -> None:
        self.heard: set[tuple[str, str]] = set()
        self.losses = 0
        self.wire = Wire(address, on_message=self._take, on_lost=self._lost)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["BrokerClient"]:
        running = asyncio.create_task(self.wire.run())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.wire.until_connected()
            yield self
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def hears(self, topic: str, payload: str) -> None:
        await until(lambda: (topic, payload) in self.heard)

    def _take(self, received: Received) -> None:
        self.heard.add((received.topic, received.payload.decode(errors="replace")))
        self.wire.acknowledge(received)

    def _lost(self) -> None:
        self.losses += 1


async def is_refused(address: Address, client_id: str | None = None) -> bool:
    """Whether the broker turns this account away, with this client id if given."""
    wire = Wire(replace(address), on_message=lambda _: None)
    if client_id is not None:
        wire._client._client_id = client_id.encode()
    running = asyncio.create_task(wire.run())
    try:
        await until(lambda: wire.connected or "refuses" in str(wire.problem))
        return not wire.connected
    finally:
        running.cancel()
        await asyncio.wait({running})
