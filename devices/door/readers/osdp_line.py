"""One serial line with OSDP readers, in a process of its own that `osdp.py` starts, and that ends with it.

The line is parsed by a C library. Whoever opens the reader outside can feed it, and a failed assertion ends its
process, so that must not be the process with the relay and the door's keys.

Standard input: first a line with port, baud, readers and whether to install, then the signals to show. Standard
output: the readers' messages, one JSON object per line. Imports little, to start quickly on a small computer.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from itertools import pairwise
from typing import Any

import osdp
import osdp_sys

from devices.door.readers.serial_port import open_serial

STANDARD_INPUT = 0
STEP_SECONDS = 0.01
AGAIN_SECONDS = 2.0
"""The library itself waits five minutes before it talks again to a reader that was away."""
ANEW_SECONDS, SHARED_ANEW_SECONDS = 10.0, 300.0
"""What a reader says of itself in plain text the library believes for good, and it may be of use to nobody else."""
ALIVE_SECONDS = 1.0
START_OF_MESSAGE, FROM_READER = 0x53, 0x80
SECURE_CHANNEL = osdp.Capability.CommunicationSecurity

_Color = osdp.CommandLEDColor
LIGHTS: dict[str, tuple[int, int, int]] = {
    # colour, colour of the pauses, tenths of a second
    "granted": (_Color.Green, _Color.Green, 30),
    "denied": (_Color.Red, _Color.Black, 20),
    "pin_wanted": (_Color.Amber, _Color.Black, 150),
    "waiting": (_Color.Red, _Color.Black, 50),
}
BEEPS: dict[str, tuple[int, int, int]] = {"granted": (2, 1, 1), "denied": (1, 1, 3), "pin_wanted": (1, 1, 1)}
"""Tenths of a second on and off, and how often."""


class Line(osdp.Channel):  # type: ignore[misc]  # libosdp has no types
    """The bytes. A line that is gone is opened again; until then nothing comes and nothing goes."""

    def __init__(self, port: str, baud: int) -> None:
        super().__init__()
        self.id = 1  # the library takes 0 for "nobody speaks", and readers on one line take turns by it
        self.problem: str | None = None
        self._port, self._baud = port, baud
        self._descriptor: int | None = None
        self._open_at = 0.0
        self._tail = b""
        self.answered: set[int] = set()
        """Addresses that have answered; the reader of this set removes them."""

    def open(self) -> None:
        """Try, if it is time to."""
        if self._descriptor is not None or time.monotonic() < self._open_at:
            return
        self._open_at = time.monotonic() + AGAIN_SECONDS
        try:
            self._descriptor = open_serial(self._port, self._baud)  # type: ignore[arg-type]
        except OSError as error:
            self.problem = str(error)
        else:
            self.problem = None

    def read(self, max_bytes: int) -> bytes:
        if self._descriptor is None:
            return b""
        try:
            received = os.read(self._descriptor, max_bytes)
        except BlockingIOError:
            return b""
        except OSError as error:
            self._lost(error)
            return b""
        data = self._tail + received
        self.answered |= {byte & ~FROM_READER for mark, byte in pairwise(data) if mark == START_OF_MESSAGE}
        self._tail = data[-1:]
        return received

    def write(self, buf: bytes) -> int:
        if self._descriptor is None:
            return len(buf)  # as on a cut cable: what is missing is the answer
        try:
            return os.write(self._descriptor, buf)
        except BlockingIOError:
            return len(buf)
        except OSError as error:
            self._lost(error)
            return len(buf)

    def flush(self) -> None:
        """What the library reads is all that there is: see `read`."""

    def _lost(self, error: OSError) -> None:
        self.problem = f"{self._port}: {error.strerror}"
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Panel:
    """The control panel for all readers of a line; `send` gets their messages.

    Events count only after the reader was reported online, with its own key: the library keeps a plain-text response
    from the handshake and would deliver it afterwards as if it had been encrypted.
    """

    def __init__(self, plan: dict[str, Any], send: Any) -> None:
        self._line = Line(plan["port"], plan["baud"])
        self._send = send
        self._installs: bool = plan["install"]
        self._addresses: list[int] = [reader["address"] for reader in plan["readers"]]
        self._is_open = [False] * len(self._addresses)
        """Online, and by the secure channel."""
        self._is_reported_online = [False] * len(self._addresses)
        self._just_came: set[int] = set()
        self._reported_problem: str | None = None
        self._is_begun_anew = [False] * len(self._addresses)
        self._again_at: list[float | None] = [None] * len(self._addresses)
        self._readers: list[dict[str, Any]] = plan["readers"]
        self._begun_at = 0.0
        self._begin()

    def _begin(self) -> None:
        flags = [osdp.LibFlag.EnableNotification]
        if not self._installs:  # with it the library never tries SCBK-D, and goes on with nobody in plain text
            flags.append(osdp.LibFlag.EnforceSecure)
        # the package's own ControlPanel keeps every card that was read in a queue, and has a thread
        self._library = osdp_sys.ControlPanel(
            [
                osdp.PDInfo(reader["address"], self._line, bytes.fromhex(reader["key"]), flags=flags).get()
                for reader in self._readers
            ]
        )
        self._library.set_event_callback(self._happened)
        self._begun_at = time.monotonic()

    def step(self) -> None:
        self._line.open()
        self._library.refresh()
        if self._line.problem != self._reported_problem:
            self._reported_problem = self._line.problem
            self._report_line()
        while self._just_came:  # the library takes no command while it says that a reader is online
            self.show(self._addresses[self._just_came.pop()], "idle")
        now = time.monotonic()
        due = [index for index, at in enumerate(self._again_at) if at is not None and now >= at]
        if due and now - self._begun_at >= (SHARED_ANEW_SECONDS if any(self._is_open) else ANEW_SECONDS):
            self._again_at = [None] * len(self._addresses)
            self._is_open = [False] * len(self._addresses)
            self._line.answered.clear()
            self._begin()
            return
        for index in due:
            self._again(index)

    def _again(self, index: int) -> None:
        self._again_at[index] = None
        self._line.answered.discard(self._addresses[index])
        self._is_begun_anew[index] = True  # its absence is our own doing
        self._library.disable_pd(index)
        self._library.refresh()
        self._library.enable_pd(index)
        self._is_begun_anew[index] = False

    def _report_line(self) -> None:
        """Report the line's state: the library takes up to nine seconds, and may miss a short break."""
        for address, is_open in zip(self._addresses, self._is_open, strict=True):
            if self._reported_problem:
                self._send({"address": address, "state": "silent", "why": self._reported_problem})
            elif is_open:
                self._send({"address": address, "state": "online"})

    def show(self, address: int, shown: str) -> None:
        index = self._addresses.index(address)
        if not self._is_open[index]:
            return
        light = {"command": osdp.Command.LED, "reader": 0, "led_number": 0, "control_code": 1}
        if shown in LIGHTS:
            color, pause, tenths = LIGHTS[shown]
            light |= {"control_code": 2, "temporary": True, "timer_count": tenths}
            light |= {"on_color": color, "off_color": pause, "on_count": 2, "off_count": 2}
        else:  # what it shows when nothing is to be shown
            light |= {"temporary": False, "on_count": 1, "off_count": 0}
            light |= {"on_color": _Color.Red, "off_color": _Color.Red}
        if self._has(index, osdp.Capability.LEDControl):
            self._library.submit_command(index, light)
        if shown in BEEPS and self._has(index, osdp.Capability.AudibleControl):
            on, off, times = BEEPS[shown]
            beep = {"command": osdp.Command.Buzzer, "reader": 0, "control_code": 2}
            self._library.submit_command(index, beep | {"on_count": on, "off_count": off, "rep_count": times})

    def _has(self, index: int, capability: int) -> bool:
        """Whether a reader has a capability: the library takes one that refuses a command for absent."""
        return bool(self._library.check_capability(index, capability)[0])

    def _happened(self, index: int, event: dict[str, Any]) -> int:
        found = event.copy()
        event.clear()  # the binding never gives this dictionary back: at least no card stays in it
        address = self._addresses[index]
        match found["event"]:
            case osdp.Event.Notification:
                self._notified(index, found["type"], found["arg0"])
            case _ if not self._is_open[index] or not self._is_secure(index) or self._installs:
                self._send({"address": address, "dropped": True})
            case osdp.Event.CardRead:
                self._send({"address": address, "card": found["data"].hex(), "bits": found.get("length", 0)})
            case osdp.Event.KeyPress:
                self._send({"address": address, "keys": found["data"].hex()})
            case osdp.Event.Status if found["type"] == osdp.StatusReportType.Local:
                self._send({"address": address, "tampered": bool(found["report"][0])})
        return 0

    def _is_secure(self, index: int) -> bool:
        return bool(self._library.sc_status() >> index & 1)

    def _notified(self, index: int, what: int, is_on: int) -> None:
        address = self._addresses[index]
        if what == osdp.EventNotification.SecureChannelStatus and not is_on:
            self._is_open[index] = False
        elif what == osdp.EventNotification.PeripheralDeviceStatus:
            self._is_open[index] = bool(is_on) and self._is_secure(index)
            if self._is_open[index]:
                self._just_came.add(index)
                self._is_reported_online[index] = True
                self._send({"address": address, "state": "online"})
            elif not self._is_begun_anew[index]:
                self._again_at[index] = time.monotonic() + AGAIN_SECONDS
                state = "silent" if self._is_reported_online[index] else self._why_not(index)
                self._is_reported_online[index] = False
                self._send({"address": address, "state": state, "why": self._line.problem})

    def _why_not(self, index: int) -> str:
        """The reason why a reader did not come online."""
        if self._line.problem or self._addresses[index] not in self._line.answered:
            return "silent"
        level, _ = self._library.check_capability(index, SECURE_CHANNEL)
        return "other_key" if level & 1 else "plain"


def main() -> None:
    """Until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it is for who started us, and ends us
    # the library writes lines of its own to standard output
    output = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # the library draws its challenges by rand() and never seeds it: each start would give the same ones, and a reader's
    # answers to them, recorded outside, could be played again
    ctypes.CDLL(None).srand(int.from_bytes(os.urandom(4), "little"))
    osdp_sys.set_loglevel(osdp.LogLevel.Emergency)

    def send(message: dict[str, Any]) -> None:
        os.write(output, json.dumps(message).encode() + b"\n")

    panel: Panel | None = None
    rest, alive_at = b"", 0.0
    while True:
        if select.select([STANDARD_INPUT], [], [], STEP_SECONDS if panel else None)[0]:
            received = os.read(STANDARD_INPUT, 4096)
            if not received:
                return
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if panel is None:
                    panel = Panel(message, send)
                else:
                    panel.show(message["address"], message["shows"])
        if panel is not None:
            panel.step()
            if time.monotonic() >= alive_at:
                alive_at = time.monotonic() + ALIVE_SECONDS
                send({"alive": True})


if __name__ == "__main__":
    main()
