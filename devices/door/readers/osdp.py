"""An OSDP reader (IEC 60839-11-5, SIA OSDP 2.2), by Secure Channel with a key of its own and not otherwise."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import structlog

from devices.access.credentials import turned
from devices.contract.door import Side
from devices.door.hardware.interface import HardwareError
from devices.door.hardware.reader import Condition, Presented, Signal
from devices.door.readers.frames import FrameError, bits_of, card_or_uid
from devices.door.readers.keypad import Keypad
from devices.door.readers.serial_port import Baud

log = structlog.get_logger("door.osdp")

AGAIN_SECONDS = 1.0
ALIVE_SECONDS = 5.0
"""The process reports every second that it is alive."""
MAX_WAITING_BYTES = 65536
KEYS = {0x0D: "#", 0x7F: "*"}
"""OSDP 2.2 § 7.12: the other keys are ASCII."""


class OsdpLine:
    """A serial line and the process that speaks on it (`osdp_line.py`), for as long as a reader of it is started.

    `keys` are those of all readers on the line, by address. When the process dies or falls silent it is started anew.
    """

    def __init__(self, port: str, baud: Baud, keys: dict[int, bytes], *, installs: bool = False) -> None:
        self.port = port
        readers = [{"address": address, "key": key.hex()} for address, key in keys.items()]
        self._plan = {"port": port, "baud": baud, "install": installs, "readers": readers}
        self._on_message: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None

    def join(self, address: int, on_message: Callable[[dict[str, Any]], None]) -> None:
        """Raises HardwareError when libosdp is not installed."""
        if find_spec("osdp_sys") is None:
            raise HardwareError("libosdp is missing: pip install 'kommunevert[osdp]'")
        self._on_message[address] = on_message
        if self._process is None:
            self._start()

    def leave(self, address: int) -> None:
        self._on_message.pop(address, None)
        if not self._on_message:
            self._stop()

    def show(self, address: int, signal: Signal) -> None:
        """Send a signal, or drop it when the pipe is full: a late one is useless."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(self._process.stdin.fileno(), _line({"address": address, "shows": signal}))

    def _start(self) -> None:
        """Start the process; this blocks the loop for some milliseconds."""
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "devices.door.readers.osdp_line"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            self._restart(f"cannot be started: {error.strerror}")
            return
        self._process = process
        assert process.stdin is not None  # noqa: S101 (both are pipes)
        assert process.stdout is not None  # noqa: S101 (both are pipes)
        for pipe in (process.stdin, process.stdout):
            os.set_blocking(pipe.fileno(), False)
        os.write(process.stdin.fileno(), _line(self._plan))
        self._rest = b""
        asyncio.get_running_loop().add_reader(process.stdout.fileno(), self._on_output, process.stdout.fileno())
        self._after(ALIVE_SECONDS, self._on_silence)

    def _on_output(self, pipe: int) -> None:
        try:
            received = os.read(pipe, MAX_WAITING_BYTES)
        except BlockingIOError:
            return
        if not received:
            self._restart("ended")
            return
        self._after(ALIVE_SECONDS, self._on_silence)
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if (on_message := self._on_message.get(message.get("address"))) is not None:
                on_message(message)

    def _on_silence(self) -> None:
        self._restart("says nothing")

    def _restart(self, how: str) -> None:
        self._stop()
        log.error("osdp_process_failed", port=self.port, problem=how)
        self._after(AGAIN_SECONDS, self._start)
        for on_message in tuple(self._on_message.values()):
            on_message({"state": "silent", "why": f"the program for {self.port} {how}"})

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        asyncio.get_running_loop().remove_reader(process.stdout.fileno())
        process.kill()  # it has nothing to put in order, and what is killed is gone at once
        process.wait()
        process.stdin.close()
        process.stdout.close()

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, work)


class OsdpReader:
    """Cards and PINs by OSDP; its light and buzzer show what is decided."""

    def __init__(self, name: str, side: Side, line: OsdpLine, address: int, *, turns: bool = False) -> None:
        self.name = name
        self._turns = turns
        self.side: Side = side
        self._line, self._address = line, address
        self._keypad = Keypad(lambda digits: self._on_shown(Presented(pin=digits)))
        self._condition = Condition()
        self._on_shown: Callable[[Presented], None] = lambda _presented: None
        self._on_condition: Callable[[Condition], None] = lambda _condition: None

    def start(self, on_shown: Callable[[Presented], None], on_condition: Callable[[Condition], None]) -> None:
        self._on_shown, self._on_condition = on_shown, on_condition
        self._line.join(self._address, self._handle)

    def show(self, signal: Signal) -> None:
        self._line.show(self._address, signal)

    def close(self) -> None:
        self._keypad.clear()
        self._line.leave(self._address)

    def _handle(self, message: dict[str, Any]) -> None:
        match message:
            case {"state": str(state), **more}:
                self._on_state(state, more.get("why"))
            case {"card": str(data), "bits": int(bits)}:
                self._keypad.clear()
                self._read(bytes.fromhex(data), bits)
            case {"keys": str(data)}:
                for byte in bytes.fromhex(data):
                    self._keypad.pressed(KEYS.get(byte, chr(byte)))
            case {"tampered": bool(is_tampered)}:
                problem = f"reader {self.name} says that it is being tampered with" if is_tampered else None
                self._set_condition(replace(self._condition, is_tampered=is_tampered, problem=problem))
            case {"dropped": True}:
                log.warning("reader_data_dropped", reader=self.name, problem="it did not come by the secure channel")

    def _read(self, data: bytes, bits: int) -> None:
        try:
            shown = card_or_uid(bits_of(data, bits))
        except FrameError as error:
            log.warning("card_read_failed", reader=self.name, problem=str(error))
        else:
            self._on_shown(Presented(card=turned(shown) if self._turns else shown))

    def _on_state(self, state: str, why: str | None) -> None:
        if state != "online":
            self._keypad.clear()
        is_tampered = self._condition.is_tampered
        match state:
            case "online":
                self._set_condition(
                    Condition(is_tampered=is_tampered, problem=self._condition.problem if is_tampered else None)
                )
            case "plain":
                problem = f"reader {self.name} has no secure channel: nothing of it is taken"
                self._set_condition(Condition(is_refused=True, is_tampered=is_tampered, problem=problem))
            case "other_key":
                problem = f"reader {self.name} does not have our key: load it by --install-reader {self.name}"
                self._set_condition(Condition(is_refused=True, is_tampered=is_tampered, problem=problem))
            case _:
                problem = f"reader {self.name} does not answer: {why or f'look at its wires, {self._line.port}'}"
                self._set_condition(Condition(is_lost=True, is_tampered=is_tampered, problem=problem))

    def _set_condition(self, condition: Condition) -> None:
        if condition != self._condition:
            log.info("reader_condition_changed", reader=self.name, problem=condition.problem)
            self._condition = condition
            self._on_condition(condition)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
