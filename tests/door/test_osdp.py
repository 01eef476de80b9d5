"""An OSDP reader as libosdp plays it on a pseudo-terminal, and others that are none of ours."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import osdp
import pytest

from devices.door.hardware.interface import HardwareError
from devices.door.hardware.reader import Condition, Presented
from devices.door.readers.installing import NotInstalledError, install
from devices.door.readers.keys import DEFAULT_KEY, reader_key
from devices.door.readers.osdp import OsdpLine, OsdpReader
from tests.door.osdp_device import Injecting, OsdpDevice, PlainDevice, Terminal, challenges_in
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

KEY, OTHER_KEY = bytes(range(1, 17)), bytes(range(101, 117))
CARD_BITS = "00000110000001101100000001"  # facility 12, number 3456
CARD = "card:26:12:3456"


@pytest.fixture
def devices() -> Iterator[ExitStack]:
    """What is entered here is stopped at the end, and the terminals are closed after that."""
    with ExitStack() as stack:
        yield stack


def device(devices: ExitStack, key: bytes | None, **more: object) -> OsdpDevice:
    made = OsdpDevice(key, **more)  # type: ignore[arg-type]
    if "terminal" not in more:
        devices.callback(made.terminal.close)
    devices.callback(made.stop)
    return made


class Bench:
    def __init__(self, line: OsdpLine, address: int = 0) -> None:
        self.line = line
        self.reader = OsdpReader("ute", "in", line, address)
        self.shown: list[Presented] = []
        self.conditions: list[Condition] = []

    def is_well(self) -> bool:
        return self.conditions[-1:] == [Condition()]


@asynccontextmanager
async def bench(port: str, key: bytes = KEY) -> AsyncIterator[Bench]:
    bench = Bench(OsdpLine(port, 9600, {0: key}))
    bench.reader.start(bench.shown.append, bench.conditions.append)
    try:
        yield bench
    finally:
        bench.reader.close()
        assert not children()


async def until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def children() -> list[str]:
    """Processes of ours that speak OSDP, dead ones too."""
    listed = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "pid=,args="], capture_output=True, check=False)
    return [line for line in listed.stdout.decode().splitlines() if "osdp_line" in line or "defunct" in line]


async def test_a_card_and_a_pin_by_secure_channel(devices: ExitStack) -> None:
    reader = device(devices, KEY)
    reader.start()
    async with bench(reader.port) as at:
        await until(reader.has_secure_channel)
        await until(lambda: reader.told(osdp.Command.LED))  # it is taken for online
        reader.card(CARD_BITS)
        await until(lambda: at.shown)
        for key in b"9*481":
            reader.keys(bytes((key,)))
        reader.keys(b"593\x0d")
        await until(lambda: len(at.shown) == 2)
        assert at.shown == [Presented(card=CARD), Presented(pin="481593")]
        assert CARD not in repr(at.shown)
        assert at.conditions == []


async def test_a_card_that_is_misread_is_not_taken(devices: ExitStack, capsys: pytest.CaptureFixture[str]) -> None:
    reader = device(devices, KEY)
    reader.start()
    async with bench(reader.port) as at:
        await until(lambda: reader.told(osdp.Command.LED))
        reader.card("1" + CARD_BITS[1:])
        reader.card("1" * 29)
        reader.card(f"{0x04A2B3C4:032b}")
        await until(lambda: at.shown)
        assert at.shown == [Presented(card="uid:04a2b3c4")]
    logged = capsys.readouterr().out
    assert logged.count("card_read_failed") == 2
    assert "04a2" not in logged


async def test_light_and_buzzer(devices: ExitStack) -> None:
    reader = device(devices, KEY)
    reader.start()
    async with bench(reader.port) as at:
        await until(lambda: reader.told(osdp.Command.LED))
        at.reader.show("granted")
        await until(lambda: len(reader.told(osdp.Command.LED)) == 2 and reader.told(osdp.Command.Buzzer))
        light, sound = reader.told(osdp.Command.LED)[-1], reader.told(osdp.Command.Buzzer)[-1]
        assert (light["on_color"], light["temporary"]) == (osdp.CommandLEDColor.Green, True)
        assert sound["rep_count"] == 1
        at.reader.show("denied")
        await until(lambda: len(reader.told(osdp.Command.Buzzer)) == 2)
        assert reader.told(osdp.Command.LED)[-1]["on_color"] == osdp.CommandLEDColor.Red
        assert reader.told(osdp.Command.Buzzer)[-1]["rep_count"] == 3


async def test_a_reader_without_a_buzzer_is_not_asked_to_buzz(devices: ExitStack) -> None:
    reader = device(devices, KEY, beeps=False)
    reader.start()
    async with bench(reader.port) as at:
        await until(lambda: reader.told(osdp.Command.LED))
        at.reader.show("granted")
        await until(lambda: len(reader.told(osdp.Command.LED)) == 2)
        reader.card(CARD_BITS)  # it would be away if it had refused
        await until(lambda: at.shown)
        assert at.conditions == []


@pytest.mark.parametrize("key", [OTHER_KEY, None], ids=["another key", "the default key"])
async def test_a_reader_with_another_key_is_refused(devices: ExitStack, key: bytes | None) -> None:
    reader = device(devices, key)
    reader.start()
    async with bench(reader.port) as at:
        await until(lambda: at.conditions)
        assert at.conditions[0].is_refused
        assert "--install-reader ute" in (at.conditions[0].problem or "")
        reader.card(CARD_BITS)
        told = len(challenges_in(reader.terminal.sent))
        await until(lambda: len(challenges_in(reader.terminal.sent)) >= told + 2)  # it had two more chances
        assert at.shown == []
        assert not reader.has_secure_channel()
        assert len(at.conditions) == 1  # told once


async def test_a_reader_in_plain_text_is_refused(devices: ExitStack) -> None:
    reader = PlainDevice(CARD_BITS)
    devices.callback(reader.terminal.close)
    reader.start()
    async with bench(reader.port) as at:
        await until(lambda: at.conditions)
        assert at.conditions == [
            Condition(is_refused=True, problem="reader ute has no secure channel: nothing of it is taken")
        ]
        await until(lambda: reader.identified >= 3)
        assert at.shown == []
        assert reader.polls == 0  # nobody asks it for cards at all
    reader.stop()


async def test_a_card_slipped_into_the_handshake_in_plain_text_is_not_taken(devices: ExitStack) -> None:
    reader = device(devices, KEY)
    slipped = Injecting(reader.terminal, CARD_BITS)
    reader.start()
    async with bench(reader.port) as at:
        await until(lambda: reader.told(osdp.Command.LED), 25)
        assert slipped.injected == 1
        reader.card(f"{0x04A2B3C4:032b}")
        await until(lambda: at.shown)
        assert at.shown == [Presented(card="uid:04a2b3c4")]


async def test_what_a_stranger_says_of_itself_is_not_believed_for_good(devices: ExitStack) -> None:
    stranger = PlainDevice(CARD_BITS, capabilities=bytes((9, 1, 1, 10, 18, 0)))  # it takes 18 bytes at most
    devices.callback(stranger.terminal.close)
    stranger.start()
    reader = device(devices, KEY, terminal=stranger.terminal)
    async with bench(reader.port) as at:
        await until(lambda: at.conditions)
        stranger.stop()
        reader.start()
        await until(at.is_well, 25)
        reader.card(CARD_BITS)
        await until(lambda: at.shown)
        assert at.shown == [Presented(card=CARD)]


async def test_two_starts_never_challenge_alike(devices: ExitStack) -> None:
    """An answer to an old challenge, recorded outside, must not be good again."""
    reader = device(devices, KEY)
    reader.start()
    for _ in range(2):
        before = len(challenges_in(reader.terminal.sent))
        async with bench(reader.port):
            await until(lambda before=before: len(challenges_in(reader.terminal.sent)) > before)
    challenges = challenges_in(reader.terminal.sent)
    assert len(set(challenges)) == len(challenges) >= 2


async def test_a_reader_that_goes_away_is_told_and_comes_back(devices: ExitStack) -> None:
    reader = device(devices, KEY)
    reader.start()
    async with bench(reader.port) as at:
        await until(lambda: reader.told(osdp.Command.LED))
        reader.keys(b"48")
        reader.stop()
        await until(lambda: at.conditions)
        assert at.conditions[-1].is_lost
        assert "does not answer" in (at.conditions[-1].problem or "")
        reader.start()
        await until(at.is_well, 25)
        reader.card(CARD_BITS)
        reader.keys(b"1593\x0d")
        await until(lambda: len(at.shown) == 2)
        assert at.shown == [Presented(card=CARD), Presented(pin="1593")]  # what was typed before is forgotten


async def test_tamper(devices: ExitStack) -> None:
    reader = device(devices, KEY)
    reader.start()
    async with bench(reader.port) as at:
        await until(lambda: reader.told(osdp.Command.LED))
        reader.tampered(is_on=True)
        await until(lambda: at.conditions)
        assert at.conditions[-1].inputs() == {"tamper"}
        reader.tampered(is_on=False)
        await until(at.is_well)


async def test_a_port_that_is_not_there_is_told_and_looked_for(devices: ExitStack, tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    reader = device(devices, KEY)
    reader.start()
    async with bench(str(port)) as at:
        await until(lambda: at.conditions, 25)
        assert at.conditions[-1].is_lost
        assert "No such file" in (at.conditions[-1].problem or "")
        port.symlink_to(reader.port)
        await until(at.is_well, 25)


async def test_the_process_is_started_anew_when_it_dies_or_says_nothing(devices: ExitStack) -> None:
    reader = device(devices, KEY)
    reader.start()
    async with bench(reader.port) as at:
        for number, how in ((signal.SIGKILL, "ended"), (signal.SIGSTOP, "says nothing")):
            await until(reader.has_secure_channel)
            (child,) = children()
            os.kill(int(child.split()[0]), number)
            await until(lambda how=how: at.conditions and how in (at.conditions[-1].problem or ""))
            await until(at.is_well, 25)


@pytest.mark.alone  # a line of 9600 baud that is not looked at for a while has lost its readers
async def test_two_readers_on_one_line(devices: ExitStack) -> None:
    terminal = Terminal()
    devices.callback(terminal.close)
    outside = device(devices, KEY, terminal=terminal, address=3)
    outside.start()
    line = OsdpLine(terminal.port, 9600, {3: KEY, 4: OTHER_KEY})
    out, inside = Bench(line, 3), Bench(line, 4)
    try:
        for at in (out, inside):
            at.reader.start(at.shown.append, at.conditions.append)
        await until(lambda: inside.conditions and inside.conditions[-1].is_lost, 25)
        outside.card(CARD_BITS)
        await until(lambda: out.shown)
        assert (out.shown, out.conditions, inside.shown) == ([Presented(card=CARD)], [], [])
        out.reader.close()
        assert children()  # the other one still uses the line
    finally:
        out.reader.close()
        inside.reader.close()
    assert not children()


async def test_nothing_of_it_is_left_and_the_loop_is_not_held(devices: ExitStack) -> None:
    reader = device(devices, KEY)
    threads, longest = threading.active_count(), 0.0
    async with bench(reader.port):
        for _ in range(100):
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before - 0.01)
    assert threading.active_count() == threads
    assert longest < 0.5


# -- installing ----------------------------------------------------------------------------------------------


async def test_a_new_reader_gets_its_key(devices: ExitStack) -> None:
    reader = device(devices, None)
    reader.start()
    await install(reader.port, 9600, 0, KEY, seconds=20)
    assert reader.told(osdp.Command.Keyset)[0]["data"] == KEY
    assert not children()
    async with bench(reader.port) as at:
        await until(reader.has_secure_channel)
        await until(lambda: reader.told(osdp.Command.LED))
        reader.card(CARD_BITS)
        await until(lambda: at.shown)


async def test_installing_ends_by_itself(devices: ExitStack) -> None:
    terminal = Terminal()
    devices.callback(terminal.close)
    with pytest.raises(NotInstalledError):
        await install(terminal.port, 9600, 0, KEY, seconds=1)
    assert not children()
    late = device(devices, None, terminal=terminal)
    late.start()
    async with bench(terminal.port) as at:  # the factory's key is no good any more
        await until(lambda: at.conditions and at.conditions[-1].is_refused)
        assert not late.told(osdp.Command.Keyset)


async def test_a_reader_of_somebody_else_is_not_installed(devices: ExitStack) -> None:
    reader = device(devices, OTHER_KEY)
    reader.start()
    with pytest.raises(NotInstalledError, match="another controller"):
        await install(reader.port, 9600, 0, KEY, seconds=3)


async def test_a_plain_reader_is_not_installed(devices: ExitStack) -> None:
    reader = PlainDevice(CARD_BITS)
    devices.callback(reader.terminal.close)
    reader.start()
    with pytest.raises(NotInstalledError, match="no secure channel"):
        await install(reader.port, 9600, 0, KEY, seconds=2)
    reader.stop()


async def test_a_line_in_use_is_not_installed_on(devices: ExitStack) -> None:
    reader = device(devices, KEY)
    reader.start()
    async with bench(reader.port):
        await until(reader.has_secure_channel)
        with pytest.raises(NotInstalledError, match="in use by another program"):
            await install(reader.port, 9600, 0, KEY, seconds=2)


# -- keys ----------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "reader-ute.key"
    key = reader_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert reader_key(path) == key
    assert bytes.fromhex(path.read_text()) == key


@pytest.mark.parametrize("bad", [DEFAULT_KEY.hex(), "00" * 16, "01020304050607" * 2 + "0101", "4f" * 15, "key", ""])
def test_a_bad_key_is_refused(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "reader-ute.key"
    path.write_text(bad)
    path.chmod(0o600)
    with pytest.raises(HardwareError, match=r"reader-ute\.key"):
        reader_key(path)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reader-ute.key"
    path.write_text(KEY.hex())
    path.chmod(0o640)
    with pytest.raises(HardwareError, match="chmod 600"):
        reader_key(path)
