"""What the kernel says of the radio, as a Raspberry Pi's does."""

from pathlib import Path

import pytest

from devices.door.hardware.radio import signal_dbm

HEADINGS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
"""


@pytest.mark.parametrize(
    ("row", "dbm"),
    [(" wlan0: 0000   58.  -52.  -256        0      0      0      0      0        0\n", -52), ("", None), (" wlan0: 0000\n", None)],
)  # fmt: skip
def test_the_level_is_read(tmp_path: Path, row: str, dbm: int | None) -> None:
    (tmp_path / "wireless").write_text(HEADINGS + row)
    assert signal_dbm(tmp_path / "wireless") == dbm
    assert signal_dbm(tmp_path / "missing") is None
