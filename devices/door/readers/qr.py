"""A QR code reader, on a serial line or as a keyboard."""

import asyncio
import fcntl
import os
import struct
from collections.abc import Callable

import structlog

from devices.contract.door import Side
from devices.door.hardware.reader import Condition, Presented, Signal
from devices.door.readers.serial_port import Baud, open_serial

log = structlog.get_logger("door.qr")

MAX_CHARACTERS = 512
AGAIN_SECONDS = 2.0
READ_BYTES = 4096
LINE_ENDS = "\r\n"

EVENT = struct.Struct("@llHHi")
"""`struct input_event` of <linux/input.h>: seconds, microseconds, type, code, value."""
EV_KEY = 1
RELEASED, PRESSED = 0, 1
GRAB = 0x40044590
"""EVIOCGRAB: what it types goes to us and not to the machine's own console as well."""
SHIFTS = (42, 54)
ENTERS = (28, 96)
PLAIN = {2: "1234567890-=", 16: "qwertyuiop[]", 30: "asdfghjkl;'`", 43: "\\zxcvbnm,./", 57: " "}
SHIFTED = {2: "!@#$%^&*()_+", 16: "QWERTYUIOP{}", 30: 'ASDFGHJKL:"~', 43: "|ZXCVBNM<>?", 57: " "}


def _keys(rows: dict[int, str]) -> dict[int, str]:
    return {first + at: character for first, row in rows.items() for at, character in enumerate(row)}


KEYMAPS = (_keys(PLAIN), _keys(SHIFTED))
"""A US keyboard, which such readers are when they leave the factory (<linux/input-event-codes.h>)."""


class Lines:
    """ASCII that comes in pieces. A line that is too long, or has something else in it, is dropped and counted."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.dropped = 0
        self._on_line = on_line
        self._piece = ""
        self._is_bad = False

    def add(self, text: str) -> None:
        for character in text:
            if character in LINE_ENDS:
                self._end()
            elif not " " <= character <= "~" or len(self._piece) == MAX_CHARACTERS:
                self._is_bad = True  # with what follows, up to its end
            else:
                self._piece += character

    def _end(self) -> None:
        line, is_bad = self._piece, self._is_bad
        self._piece, self._is_bad = "", False
        if is_bad:
            self.dropped += 1
            log.warning("code_dropped", dropped=self.dropped, most_characters=MAX_CHARACTERS)
        elif line:
            self._on_line(line)


class Keyboard:
    """What a keyboard's events type."""

    def __init__(self) -> None:
        self._rest = b""
        self._shifts: set[int] = set()

    def typed(self, received: bytes) -> str:
        data = self._rest + received
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        return "".join(self._of(kind, code, value) for _, _, kind, code, value in EVENT.iter_unpack(data[:whole]))

    def _of(self, kind: int, code: int, value: int) -> str:
        if kind != EV_KEY:
            return ""
        if code in SHIFTS:
            (self._shifts.discard if value == RELEASED else self._shifts.add)(code)
            return ""
        if value != PRESSED:
            return ""
        return "\n" if code in ENTERS else KEYMAPS[bool(self._shifts)].get(code, "\0")


class CodeReader:
    """`open_device` returns a non-blocking descriptor, or raises OSError; `as_text` decodes its bytes.

    It has no light or sound that we control. A missing device is opened again periodically.
    """

    def __init__(
        self,
        name: str,
        side: Side,
        device: str,
        open_device: Callable[[], int],
        as_text: Callable[[bytes], str],
    ) -> None:
        self.name = name
        self.side: Side = side
        self._device = device
        self._open_device, self._as_text = open_device, as_text
        self._descriptor: int | None = None
        self._again: asyncio.TimerHandle | None = None
        self._condition = Condition()
        self._lines = Lines(lambda code: self._on_shown(Presented(code=code)))
        self._on_shown: Callable[[Presented], None] = lambda _presented: None
        self._on_condition: Callable[[Condition], None] = lambda _condition: None

    @property
    def dropped(self) -> int:
        """Codes that were too long or not ASCII."""
        return self._lines.dropped

    def start(self, on_shown: Callable[[Presented], None], on_condition: Callable[[Condition], None]) -> None:
        self._on_shown, self._on_condition = on_shown, on_condition
        self._open()

    def show(self, signal: Signal) -> None:
        """Does nothing: such readers beep by themselves."""

    def close(self) -> None:
        if self._again is not None:
            self._again.cancel()
        self._leave()

    def _open(self) -> None:
        try:
            self._descriptor = self._open_device()
        except OSError as error:
            self._lost(error)
            return
        asyncio.get_running_loop().add_reader(self._descriptor, self._read, self._descriptor)
        self._set_condition(Condition())

    def _read(self, descriptor: int) -> None:
        try:
            received = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error)
            return
        if not received:
            self._lost(OSError("it was taken away"))
            return
        self._lines.add(self._as_text(received))

    def _lost(self, error: OSError) -> None:
        self._leave()
        problem = f"reader {self.name} cannot be read at {self._device}: {error.strerror or error}"
        self._set_condition(Condition(is_lost=True, problem=problem))
        self._again = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._open)

    def _leave(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _set_condition(self, condition: Condition) -> None:
        if condition != self._condition:
            self._condition = condition
            self._on_condition(condition)


def serial_reader(name: str, side: Side, port: str, baud: Baud) -> CodeReader:
    """A serial reader of ASCII codes; anything else is dropped."""
    return CodeReader(
        name, side, port, lambda: open_serial(port, baud), lambda received: received.decode("ascii", errors="replace")
    )


def keyboard_reader(name: str, side: Side, device: str) -> CodeReader:
    """`device` such as /dev/input/by-id/usb-…-event-kbd."""
    return CodeReader(name, side, device, lambda: _grabbed(device), Keyboard().typed)


def _grabbed(device: str) -> int:
    descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, GRAB, 1)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
