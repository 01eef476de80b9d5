"""What the hub and a door keep is their own account's alone."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from devices.contract.enrolment import Enrolment
from hub.configuration.data_folder import open_data_folder
from tests.conftest import until
from tests.door.door_process import DoorProcess
from tests.hub_process import HubProcess
from tests.ports import free_port


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


@pytest.mark.parametrize("is_there", [True, False])
async def test_nobody_else_reads_what_the_hub_keeps(settings: dict[str, Any], tmp_path: Path, is_there: bool) -> None:
    data = tmp_path / "kept"
    if is_there:
        data.mkdir(mode=0o755)
    hub = HubProcess(settings | {"data": str(data)}, tmp_path)
    await hub.start()
    await hub.stop()
    broker = Path("/proc") / (data / "broker" / "mosquitto.pid").read_text().strip()
    assert not broker.exists()  # stopped at once after it was ready, and yet in order
    assert mode(data) == "700"
    kept = [path for path in data.rglob("*") if path.is_file()]
    assert {"kommunevert.db", "history.db", "passwords", "hub.secret"} <= {path.name for path in kept}
    assert [path for path in kept if path.stat().st_mode & 0o077] == []
    assert ("data_folder_narrowed" in hub.log.read_text()) == is_there


def test_a_folder_for_everybody_stays_one(tmp_path: Path) -> None:
    folder = tmp_path / "as-tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    open_data_folder(folder)
    assert mode(folder) == "1777"


@pytest.mark.slow
@pytest.mark.parametrize("is_there", [True, False])
async def test_nobody_else_reads_what_a_door_keeps(tmp_path: Path, is_there: bool) -> None:
    keys = {name: SigningKey.generate() for name in ("hub", "door")}
    enrolment = Enrolment(
        site="test",
        kind="door",
        device="door-1",
        secret="of a broker that is not there",
        port=free_port(),
        hub_key=keys["hub"].verify_key.encode().hex(),
        hub_key_id="hub-1",
        device_key=keys["door"].encode().hex(),
    )
    door = DoorProcess(tmp_path, enrolment)
    if is_there:
        door.state.mkdir(mode=0o755)
    await door.start()
    await until(lambda: (door.state / "journal.sqlite").exists())
    assert await door.stop() == 0
    assert mode(door.state) == "700"
    assert [path for path in door.state.iterdir() if path.stat().st_mode & 0o077] == []
