"""A real broker, a real controller process, and a hand-made hub between them."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from devices.contract.enrolment import Enrolment
from devices.wire.connection import Address, Wire
from tests.door.desk import Desk
from tests.door.door_process import DoorProcess
from tests.door.mosquitto import PASSWORDS, PROGRAM, RIGHTS, Mosquitto
from tests.patience import PATIENCE_SECONDS

SITE, DOOR, ROOT = "raadhus", "door-1", "kommunevert"
SECRETS = {"hub": "hub-secret-for-tests", DOOR: "door-secret-for-tests"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if PROGRAM is None or PASSWORDS is None:
        if os.environ.get("KOMMUNEVERT_NO_SKIPS") == "1":
            pytest.fail("mosquitto is missing")
        pytest.skip("mosquitto is missing")
    directory = tmp_path / "broker"
    directory.mkdir()
    broker = Mosquitto(directory, SECRETS, RIGHTS.format(root=ROOT, site=SITE, door=DOOR))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def hub_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def enrolment(broker: Mosquitto, hub_key: SigningKey) -> Enrolment:
    return Enrolment(
        root=ROOT,
        site=SITE,
        kind="door",
        device=DOOR,
        secret=SECRETS[DOOR],
        port=broker.port,
        hub_key=hub_key.verify_key.encode().hex(),
        hub_key_id="hub-1",
        device_key=SigningKey.generate().encode().hex(),
    )


@pytest.fixture
async def desk(broker: Mosquitto, enrolment: Enrolment, hub_key: SigningKey) -> AsyncIterator[Desk]:
    door_key = SigningKey(bytes.fromhex(enrolment.device_key))
    desk = Desk(f"{ROOT}/{SITE}/door/{DOOR}", hub_key, door_key)
    desk.wire = Wire(Address("127.0.0.1", broker.port, "hub", SECRETS["hub"]), on_message=desk.hear)
    desk.wire.subscribe(f"{desk.branch}/#")
    running = asyncio.create_task(desk.wire.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await desk.wire.until_connected()
    yield desk
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def door(tmp_path: Path, enrolment: Enrolment, desk: Desk) -> AsyncIterator[DoorProcess]:
    """A running controller that the desk has heard of."""
    door = DoorProcess(tmp_path, enrolment)
    await door.start()
    try:
        await desk.until_ready()
        yield door
    finally:
        await door.stop()
