"""QR codes by a serial line (a pseudo-terminal), and by what types like a keyboard (a pipe with its events)."""

import asyncio
import fcntl
import os
import pty
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devices.door.hardware.reader import Condition, Presented
from devices.door.readers import qr
from devices.door.readers.qr import EVENT, GRAB, CodeReader, Keyboard, keyboard_reader, serial_reader
from tests.patience import PATIENCE_SECONDS

SHIFT, ENTER = 42, 28
CODES = {character: (code, False) for code, character in qr.KEYMAPS[0].items()}
CODES |= {character: (code, True) for code, character in qr.KEYMAPS[1].items()}


async def until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


class Bench:
    def __init__(self, reader: CodeReader) -> None:
        self.reader = reader
        self.shown: list[Presented] = []
        self.conditions: list[Condition] = []
        reader.start(self.shown.append, self.conditions.append)


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


async def test_a_line_is_a_code(line: tuple[int, str]) -> None:
    end, port = line
    bench = Bench(serial_reader("qr", "in", port, 9600))
    for piece in (b"KV1:abc", b"DEF+/=", b"\r\n\r\nsecond\rthird\n"):
        os.write(end, piece)
        await asyncio.sleep(0.01)
    await until(lambda: len(bench.shown) == 3)
    assert bench.shown == [Presented(code="KV1:abcDEF+/="), Presented(code="second"), Presented(code="third")]
    assert "abc" not in repr(bench.shown)
    assert (bench.reader.dropped, bench.conditions) == (0, [])
    bench.reader.close()


async def test_what_is_too_long_or_no_ascii_is_dropped_and_counted(line: tuple[int, str]) -> None:
    end, port = line
    bench = Bench(serial_reader("qr", "in", port, 9600))
    os.write(end, b"a" * 512 + b"\n" + b"b" * 513 + b"\n" + "blåbær\n".encode() + b"\x00x\n" + b"good\n")
    await until(lambda: len(bench.shown) == 2)
    assert bench.shown == [Presented(code="a" * 512), Presented(code="good")]
    assert bench.reader.dropped == 3
    bench.reader.close()


async def test_a_line_that_is_gone_is_told_and_looked_for(
    line: tuple[int, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qr, "AGAIN_SECONDS", 0.05)
    end, port = line
    link = tmp_path / "ttyACM0"
    bench = Bench(serial_reader("qr", "in", str(link), 115200))
    assert bench.conditions[-1].is_lost
    assert f"reader qr cannot be read at {link}: No such file" in (bench.conditions[-1].problem or "")
    link.symlink_to(port)
    await until(lambda: bench.conditions[-1] == Condition())
    os.write(end, b"there\n")
    await until(lambda: bench.shown)
    other = Bench(serial_reader("qr", "in", port, 9600))
    assert "in use by another program" in (other.conditions[-1].problem or "")
    other.reader.close()
    bench.reader.close()


# -- like a keyboard -----------------------------------------------------------------------------------------


def events(text: str, *, repeat: bool = False) -> bytes:
    """What a scanner's keyboard sends for `text`: each key down and up, with its scan code and a mark between."""
    found = b""
    for character in text:
        code, shifted = (ENTER, False) if character == "\n" else CODES[character]
        keys = [(SHIFT, 1)] * shifted + [(code, 1)] + [(code, 2)] * repeat + [(code, 0)] + [(SHIFT, 0)] * shifted
        for key, value in keys:
            found += EVENT.pack(1, 2, 4, 4, 0x70004) + EVENT.pack(1, 2, 1, key, value) + EVENT.pack(1, 2, 0, 0, 0)
    return found


def test_every_printable_character_can_be_typed() -> None:
    text = "".join(map(chr, range(0x20, 0x7F)))
    assert Keyboard().typed(events(text + "\n")) == text + "\n"


def test_events_in_pieces_and_keys_held_down() -> None:
    keyboard = Keyboard()
    data = events("KV1:aB\n", repeat=True)
    assert "".join(keyboard.typed(data[at : at + 7]) for at in range(0, len(data), 7)) == "KV1:aB\n"


async def test_a_keyboard_is_ours_alone_and_its_loss_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grabbed: list[int] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda _descriptor, request, _on: grabbed.append(request))
    device = tmp_path / "event3"
    os.mkfifo(device)
    keeps_it_open = os.open(device, os.O_RDWR)
    bench = Bench(keyboard_reader("qr", "out", str(device)))
    assert grabbed == [GRAB]
    os.write(keeps_it_open, events("KV1:Pass-27\n"))
    await until(lambda: bench.shown)
    assert bench.shown == [Presented(code="KV1:Pass-27")]
    os.close(keeps_it_open)
    await until(lambda: bench.conditions)
    assert bench.conditions[-1].is_lost
    bench.reader.close()


async def test_what_is_no_keyboard_is_told(tmp_path: Path) -> None:
    device = tmp_path / "event3"
    device.write_bytes(b"")
    bench = Bench(keyboard_reader("qr", "in", str(device)))
    assert bench.conditions[-1].is_lost
    bench.reader.close()
