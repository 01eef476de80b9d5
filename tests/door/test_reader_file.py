"""The readers in the hardware file: what is right is mounted, and what is wrong says where and what to do."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from devices.door.gpio import Pins
from devices.door.hardware.interface import HardwareError
from devices.door.readers.mounting import mounted
from devices.door.readers.osdp import OsdpReader
from devices.door.readers.qr import CodeReader
from devices.door.readers.wiegand import WiegandReader

OSDP = {"kind": "osdp", "name": "ute", "port": "/dev/ttyUSB0"}
WIEGAND = {"kind": "wiegand", "name": "inne", "side": "out", "d0": 23, "d1": 24}
SERIAL = {"kind": "qr_serial", "name": "qr", "port": "/dev/ttyACM0", "baud": 115200}
KEYBOARD = {"kind": "qr_keyboard", "name": "qr2", "device": "/dev/input/event3"}


def pins(tmp_path: Path, *readers: dict[str, object], **more: object) -> Pins:
    path = tmp_path / "pins.json"
    path.write_text(json.dumps({"power": "fail_secure", "readers": readers} | more))
    return Pins.read(path)


def test_every_kind_is_mounted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    readers = mounted(
        pins(tmp_path, OSDP, OSDP | {"name": "inne-osdp", "address": 1}, WIEGAND, SERIAL, KEYBOARD).readers, state
    )
    assert [type(reader) for reader in readers] == [OsdpReader, OsdpReader, WiegandReader, CodeReader, CodeReader]
    assert [(reader.name, reader.side) for reader in readers][1:3] == [("inne-osdp", "in"), ("inne", "out")]
    assert sorted(path.name for path in state.iterdir()) == ["reader-inne-osdp.key", "reader-ute.key"]
    assert state.stat().st_mode & 0o077 == 0


def test_the_examples_of_the_page_are_good(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "doors.md").read_text()
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    kinds = {plan.kind for example in examples for plan in Pins.model_validate_json(example).readers}
    assert kinds == {"osdp", "wiegand", "qr_serial", "qr_keyboard"}


def test_a_bad_key_stops_the_start(tmp_path: Path) -> None:
    key = tmp_path / "ute.key"
    key.write_text("303132333435363738393a3b3c3d3e3f")
    key.chmod(0o600)
    with pytest.raises(HardwareError, match="known or easily guessed: delete it"):
        mounted(pins(tmp_path, OSDP | {"key_file": str(key)}).readers, tmp_path)


@pytest.mark.parametrize(
    ("readers", "says"),
    [
        ([{"kind": "osdp", "name": "ute"}], r"readers\.0\.osdp\.port"),
        ([OSDP | {"kind": "odsp"}], r"'osdp', 'wiegand', 'qr_serial', 'qr_keyboard'"),
        ([OSDP | {"address": 127}], r"readers\.0\.osdp\.address"),
        ([OSDP | {"baud": 1200}], r"readers\.0\.osdp\.baud"),
        ([OSDP | {"key": "00"}], r"readers\.0\.osdp\.key"),
        ([OSDP | {"name": "../ute"}], r"readers\.0\.osdp\.name"),
        ([OSDP | {"port": "ttyUSB0"}], r"readers\.0\.osdp\.port"),
        ([OSDP | {"side": "ute"}], r"readers\.0\.osdp\.side"),
        ([OSDP, WIEGAND | {"name": "ute"}], "both have the name ute: change one"),
        ([OSDP, OSDP | {"name": "inne"}], "both have address 0 at /dev/ttyUSB0: change one"),
        ([OSDP, OSDP | {"name": "inne", "address": 1, "baud": 115200}], "share the line /dev/ttyUSB0: give both"),
        ([SERIAL | {"port": "/dev/ttyUSB0"}, OSDP], "both have the port /dev/ttyUSB0: change one"),
        ([WIEGAND | {"d1": 23}], "pin 23 is d0 of reader inne and also d1 of reader inne: change one"),
        ([WIEGAND | {"light": 17}], "pin 17 is relay and also light of reader inne: change one"),
    ],
)
def test_mistakes_say_where_and_what(tmp_path: Path, readers: list[dict[str, object]], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        pins(tmp_path, *readers)


def test_door_pins_at_one_place_are_a_mistake_too(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="pin 17 is relay and also tamper"):
        pins(tmp_path, tamper=17)
