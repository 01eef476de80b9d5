"""OSDP readers on a pseudo-terminal: libosdp's own, and ones that do what no reader should."""

import asyncio
import os
import pty
import tty
from collections.abc import Callable
from typing import Any

import osdp
import osdp_sys

ID, CAPABILITIES, POLL, CHALLENGE = 0x61, 0x62, 0x60, 0x76
ACK, PD_ID, PD_CAPABILITIES, RAW = 0x40, 0x45, 0x46, 0x50
CAPABLE = osdp.Capability
Intercept = Callable[[bytes], bytes]


class Terminal(osdp.Channel):
    """The reader's end of the line. `port` is what the controller opens; `sent` is all that it has said."""

    def __init__(self) -> None:
        super().__init__()
        self._end, self._other = pty.openpty()
        tty.setraw(self._other)
        os.set_blocking(self._end, False)
        self.port = os.ttyname(self._other)
        self.sent = b""
        self.intercept: Intercept = lambda received: received

    def read(self, max_bytes: int) -> bytes:
        try:
            received = os.read(self._end, max_bytes)
        except (BlockingIOError, OSError):
            return b""
        self.sent += received
        return self.intercept(received)

    def write(self, buf: bytes) -> int:
        return os.write(self._end, buf)

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        return self._end

    def close(self) -> None:
        os.close(self._end)
        os.close(self._other)


class OsdpDevice:
    """libosdp's peripheral device. `key=None`: as it comes from the factory, with SCBK-D."""

    def __init__(self, key: bytes | None, *, address: int = 0, terminal: Terminal | None = None, beeps: bool = True):
        self.terminal = terminal or Terminal()
        self.commands: list[dict[str, Any]] = []
        flag = osdp.LibFlag.InstallMode if key is None else osdp.LibFlag.EnforceSecure
        capabilities = [(CAPABLE.CommunicationSecurity, 1, 1), (CAPABLE.LEDControl, 1, 1)]
        capabilities += [(CAPABLE.AudibleControl, 1, 1)] if beeps else []
        self._device = osdp.PeripheralDevice(
            osdp.PDInfo(address, self.terminal, key, flags=[flag]),
            osdp.PDCapabilities(capabilities),
            log_level=osdp.LogLevel.Emergency,
            command_handler=self._obey,
        )

    @property
    def port(self) -> str:
        return self.terminal.port

    def start(self) -> None:
        self._device.start()

    def stop(self) -> None:
        """As if its cable were cut."""
        if self._device.thread:
            self._device.stop()

    def has_secure_channel(self) -> bool:
        return self._device.is_sc_active()

    def card(self, bits: str) -> None:
        data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
        event = {"event": osdp.Event.CardRead, "reader_no": 0, "direction": 0, "format": osdp.CardFormat.Wiegand}
        assert self._device.submit_event(event | {"length": len(bits), "data": data})

    def keys(self, keys: bytes) -> None:
        assert self._device.submit_event({"event": osdp.Event.KeyPress, "reader_no": 0, "data": keys})

    def tampered(self, *, is_on: bool) -> None:
        report = {"event": osdp.Event.Status, "type": osdp.StatusReportType.Local, "report": bytes((is_on, 0))}
        assert self._device.submit_event(report)

    def told(self, command: int) -> list[dict[str, Any]]:
        return [one for one in self.commands if one["command"] == command]

    def _obey(self, command: dict[str, Any]) -> tuple[int, None]:
        self.commands.append(command)
        return 0, None


class PlainDevice:
    """A reader that knows no Secure Channel and shows `bits` whenever it is asked. Runs on the test's loop."""

    def __init__(self, bits: str, capabilities: bytes = bytes((4, 1, 1, 8, 1, 0, 9, 0, 0))) -> None:
        self.terminal = Terminal()
        self._capabilities = capabilities
        self.polls = 0
        self.identified = 0
        self._card = raw_card(bits)

    @property
    def port(self) -> str:
        return self.terminal.port

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self.terminal.fileno(), self._hear)

    def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self.terminal.fileno())

    def _hear(self) -> None:
        for sequence, command in commands_in(self.terminal.read(4096)):
            if command == ID:
                self.identified += 1
                self.terminal.write(reply(sequence, PD_ID, bytes(12)))
            elif command == CAPABILITIES:
                self.terminal.write(reply(sequence, PD_CAPABILITIES, self._capabilities))
            else:
                self.polls += 1
                self.terminal.write(reply(sequence, RAW, self._card))


class Injecting:
    """Answers the first request for an identity with a card, in plain text, and lets all else through."""

    def __init__(self, terminal: Terminal, bits: str) -> None:
        self.injected = 0
        self._terminal, self._card = terminal, raw_card(bits)
        terminal.intercept = self._see

    def _see(self, received: bytes) -> bytes:
        for sequence, command in commands_in(received):
            if command == ID and not self.injected:
                self.injected += 1
                self._terminal.write(reply(sequence, RAW, self._card))
                return b""
        return received


def raw_card(bits: str) -> bytes:
    """The data of osdp_RAW for less than 256 bits."""
    size = -(-len(bits) // 8)
    return bytes((0, 1, len(bits), 0)) + int(bits.ljust(size * 8, "0"), 2).to_bytes(size, "big")


def commands_in(received: bytes) -> list[tuple[int, int]]:
    """Sequence number and code of the whole, unencrypted commands."""
    found = []
    for message in received.split(b"\xff\x53")[1:]:
        control = message[3]
        skip = message[4] if control & 0x08 else 0
        found.append((control & 3, message[4 + skip]))
    return found


def challenges_in(sent: bytes) -> list[bytes]:
    """The random numbers that a panel has challenged with."""
    marks = [at for at in range(len(sent)) if sent[at : at + 3] == bytes((3, 0x11, 1)) and sent[at + 3] == CHALLENGE]
    return [sent[at + 4 : at + 12] for at in marks]


def reply(sequence: int, code: int, data: bytes, address: int = 0) -> bytes:
    size = 8 + len(data)
    message = bytes((0x53, 0x80 | address, size & 0xFF, size >> 8, 4 | sequence, code)) + data
    return b"\xff" + message + _crc(message).to_bytes(2, "little")


def _crc(message: bytes) -> int:
    crc = 0x1D0F
    for byte in message:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


osdp_sys.set_loglevel(osdp.LogLevel.Emergency)
