"""Frames as bits, and a reader on two pins, played by gpiozero's mock factory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from devices.door.hardware.interface import HardwareError
from devices.door.hardware.reader import Condition, Presented
from devices.door.readers import wiegand
from devices.door.readers.frames import FrameError, bits_of, card, card_or_uid, key
from devices.door.readers.wiegand import WiegandReader
from tests.patience import PATIENCE_SECONDS

mock = pytest.importorskip("gpiozero.pins.mock")

# bits, of the facility, of the number, and how many data bits the first parity bit looks at (the last one: as many)
SHAPES = [(26, 8, 16, 12), (34, 16, 16, 16), (37, 16, 19, 18)]


@st.composite
def frames(draw: st.DrawFn) -> tuple[str, list[int]]:
    """A card and its bits, made the other way round than the code reads them."""
    bits, facility_bits, number_bits, half = draw(st.sampled_from(SHAPES))
    facility = draw(st.integers(0, 2**facility_bits - 1))
    number = draw(st.integers(0, 2**number_bits - 1))
    data = f"{facility:0{facility_bits}b}{number:0{number_bits}b}"
    even = data[:half].count("1") % 2
    odd = 1 - data[-half:].count("1") % 2
    return f"card:{bits}:{facility}:{number}", [int(bit) for bit in f"{even}{data}{odd}"]


@given(frames())
def test_what_is_encoded_is_read(frame: tuple[str, list[int]]) -> None:
    name, bits = frame
    assert card(bits) == card_or_uid(bits) == name


@given(frames(), st.data())
def test_no_single_wrong_bit_makes_another_card(frame: tuple[str, list[int]], data: st.DataObject) -> None:
    _, bits = frame
    at = data.draw(st.integers(0, len(bits) - 1))
    with pytest.raises(FrameError):
        card([*bits[:at], 1 - bits[at], *bits[at + 1 :]])


@given(st.lists(st.integers(0, 1), max_size=100).filter(lambda bits: len(bits) not in (26, 34, 37)))
def test_other_lengths_are_no_card(bits: list[int]) -> None:
    with pytest.raises(FrameError):
        card(bits)


def test_a_known_card() -> None:
    """HID's own example: facility 12, number 3456 in 26 bits."""
    assert card([int(bit) for bit in "00000110000001101100000001"]) == "card:26:12:3456"


def test_uids_and_bytes() -> None:
    assert card_or_uid(bits_of(bytes.fromhex("04a2b3c4"), 32)) == "uid:04a2b3c4"
    assert bits_of(b"\xa0\x80", 9) == [1, 0, 1, 0, 0, 0, 0, 0, 1]
    with pytest.raises(FrameError):
        bits_of(b"\xa0", 9)


def test_keys() -> None:
    assert [key([int(bit) for bit in f"{number:04b}"]) for number in range(13)] == [*"0123456789*#", None]
    assert key([int(bit) for bit in f"{15 - 7:04b}{7:04b}"]) == "7"
    assert key([int(bit) for bit in f"{15 - 6:04b}{7:04b}"]) is None
    assert key([1, 0, 1]) is None


# -- on pins -------------------------------------------------------------------------------------------------


@pytest.fixture
def factory() -> Iterator[object]:
    factory = mock.MockFactory()
    yield factory
    factory.reset()
    factory.close()


async def until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


class Clock:
    """The reader's time, which passes only when a test says so: how busy this machine is tears no frame apart."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Bench:
    def __init__(self, factory: object, **more: object) -> None:
        self.factory = factory
        self.clock = Clock()
        self.shown: list[Presented] = []
        self.conditions: list[Condition] = []
        self.reader = WiegandReader("ute", "in", 23, 24, factory=factory, **more)
        self.reader.start(self.shown.append, self.conditions.append)

    def send(self, bits: str, apart: float = 0.002) -> None:
        """As a reader does; seconds from bit to bit."""
        for bit in bits:
            self.clock.now += apart
            pin = self.factory.pin(24 if bit == "1" else 23)
            pin.drive_low()
            pin.drive_high()

    def rest(self) -> None:
        """The silence that ends a frame."""
        self.clock.now += 0.03

    async def taken(self) -> None:
        await until(lambda: not self.reader._bits)

    async def type(self, keys: str, form: str = "{:04b}") -> None:
        for one in keys:
            number = "0123456789*#".index(one)
            self.send(form.format(number, 15 - number))
            self.rest()
            await self.taken()


@pytest_asyncio.fixture
async def bench(factory: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    bench = Bench(factory)
    monkeypatch.setattr(wiegand, "time", bench.clock)
    yield bench
    bench.reader.close()


CARD_BITS = "00000110000001101100000001"


async def test_a_card(bench: Bench) -> None:
    bench.send(CARD_BITS)
    await asyncio.sleep(2 * wiegand.SILENCE_SECONDS)
    assert bench.shown == []  # more bits could come
    bench.rest()
    await until(lambda: bench.shown)
    assert bench.shown == [Presented(card="card:26:12:3456")]
    bench.send("1" + CARD_BITS[1:])
    bench.rest()
    await bench.taken()
    assert len(bench.shown) == 1
    bench.send(CARD_BITS, apart=0.02)  # as slow as a reader may be
    bench.rest()
    await until(lambda: len(bench.shown) == 2)
    bench.reader.close()
    bench.send(CARD_BITS)
    bench.rest()
    await asyncio.sleep(2 * wiegand.SILENCE_SECONDS)
    assert len(bench.shown) == 2


async def test_a_busy_loop_neither_tears_a_card_apart_nor_joins_two(bench: Bench) -> None:
    bench.send(CARD_BITS[:13])
    await asyncio.sleep(2 * wiegand.SILENCE_SECONDS)  # the loop looks, and the frame is not at its end
    bench.send(CARD_BITS[13:])
    bench.rest()  # the loop is busy, the pins are not
    bench.send(CARD_BITS)
    bench.rest()
    await until(lambda: len(bench.shown) == 2)
    assert set(bench.shown) == {Presented(card="card:26:12:3456")}


@pytest.mark.parametrize("form", ["{:04b}", "{1:04b}{0:04b}"])
async def test_a_pin(bench: Bench, form: str) -> None:
    await bench.type("12*#481593#", form)
    assert bench.shown == [Presented(pin="481593")]
    await bench.type("12", form)
    bench.send(CARD_BITS)
    bench.rest()
    await until(lambda: len(bench.shown) == 2)
    await bench.type("34#", form)
    assert bench.shown[-1] == Presented(pin="34")  # a card begins anew
    assert len(bench.shown) == 3


async def test_light_and_beeper(factory) -> None:
    light, beeper = factory.pin(5), factory.pin(6)
    bench = Bench(factory, light=5, beeper=6)
    assert (light.state, beeper.state) == (1, 1)  # idle: not at ground
    bench.reader.show("granted")
    assert (light.state, beeper.state) == (0, 0)
    await until(lambda: beeper.state == 1)
    bench.reader.show("denied")
    assert (light.state, beeper.state) == (1, 0)
    heard: list[int] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while heard != [0, 1, 0, 1, 0, 1]:
            if heard[-1:] != [beeper.state]:
                heard.append(beeper.state)
            await asyncio.sleep(0.01)
    bench.reader.close()


async def test_a_pin_that_cannot_be_had_says_which_reader(factory) -> None:
    first = Bench(factory)
    with pytest.raises(HardwareError, match="reader ute"):
        Bench(factory)
    first.reader.close()
