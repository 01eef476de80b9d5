"""The real door program with a reader on its line: from the reader's key to the grant."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import osdp
import pytest
from nacl.signing import SigningKey

from devices.contract.alive import Heartbeat
from devices.contract.door import Event, State
from devices.contract.enrolment import Enrolment
from tests.door.desk import Desk
from tests.door.door_process import DoorProcess
from tests.door.lists import KARI, signed_list
from tests.door.osdp_device import OsdpDevice
from tests.patience import PATIENCE_SECONDS

CARD_BITS = "00000110000001101100000001"


@pytest.fixture
def reader() -> Iterator[OsdpDevice]:
    """As it comes from the factory."""
    reader = OsdpDevice(None)
    reader.start()
    yield reader
    reader.stop()
    reader.terminal.close()


@pytest.fixture
def pins(tmp_path: Path, reader: OsdpDevice) -> Path:
    path = tmp_path / "pins.json"
    plan = {"kind": "osdp", "name": "ytre", "side": "in", "port": reader.port}
    path.write_text(json.dumps({"power": "fail_secure", "readers": [plan]}))
    return path


async def until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def installed(door: DoorProcess, pins: Path, name: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devices.door", door.enrolment, "--pins", pins, "--state", door.state),
        *("--install-reader", name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


def events(desk: Desk, kind: str) -> list[Event]:
    return [event for event in desk.all(Event) if event.kind == kind]


async def test_from_the_factory_to_the_open_door(
    desk: Desk, tmp_path: Path, enrolment: Enrolment, reader: OsdpDevice, pins: Path
) -> None:
    door = DoorProcess(tmp_path, enrolment)
    door_key = SigningKey(bytes.fromhex(enrolment.device_key))
    try:
        await door.start("--pins", str(pins))
        await desk.until_ready()
        desk.say("list", signed_list(desk.hub_key, door_key.verify_key, 1), retain=True)
        await desk.until(lambda: [state for state in desk.all(State) if state.list_version == 1])
        (refused,) = await desk.until(lambda: events(desk, "reader_refused"))
        assert (refused.reader, refused.side) == ("ytre", "in")
        assert desk.all(State)[-1].inputs == ("reader_lost",)
        beats = [Heartbeat.model_validate_json(heard.payload) for heard in desk.heard if heard.what == "heartbeat"]
        assert "--install-reader ytre" in (beats[-1].problem or "")
        assert not reader.told(osdp.Command.Keyset)  # the controller itself never loads a key
        await door.stop()

        code, said = await installed(door, pins, "ytre")
        assert (code, said.splitlines()) == (
            0,
            [
                f"Loading its key into reader ytre at {reader.port}, for at most 5 minutes.",
                "Installed: it speaks with its own key. Start the controller again.",
            ],
        )
        told = len(reader.told(osdp.Command.LED))
        await door.start("--pins", str(pins))
        await until(lambda: len(reader.told(osdp.Command.LED)) > told)
        await desk.until(lambda: desk.all(State)[-1].boot == 2 and desk.all(State)[-1].lock == "locked")
        reader.card(CARD_BITS)
        (granted,) = await desk.until(lambda: events(desk, "granted"))
        assert (granted.credential, granted.reader, granted.side) == ("kari", "ytre", "in")
        await until(lambda: reader.told(osdp.Command.LED)[-1]["on_color"] == osdp.CommandLEDColor.Green)
        await until(lambda: door.pulses() == 1)
        assert desk.all(State)[-1].inputs == ()

        reader.stop()
        (lost,) = await desk.until(lambda: [one for one in events(desk, "reader_lost") if one.n > granted.n])
        assert lost.reader == "ytre"
        reader.start()
        await desk.until(lambda: [one for one in events(desk, "reader_back") if one.n > lost.n])
    finally:
        await door.stop()
    log = door.log.read_text()
    assert all(json.loads(line) for line in log.splitlines())
    key = (door.state / "reader-ytre.key").read_text().strip()
    for secret in (key, KARI, "3456"):
        assert secret not in log


async def test_a_reader_that_is_not_in_the_file(tmp_path: Path, enrolment: Enrolment, pins: Path) -> None:
    code, said = await installed(DoorProcess(tmp_path, enrolment), pins, "ute")
    assert code == 2
    assert "there is no OSDP reader ute in the file of --pins; those there: ytre" in said


async def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path: Path, enrolment: Enrolment) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"power": "fail_secure", "readers": [{"kind": "osdp", "name": "ytre"}]}))
    door = DoorProcess(tmp_path, enrolment)
    await door.start("--pins", str(wrong))
    assert await door.ended() == 2
    (said,) = door.lines("start_failed")
    assert (said["file"], said["problem"]) == (str(wrong), "readers.0.osdp.port: Field required")
