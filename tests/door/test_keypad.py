"""Keys that make a PIN."""

import asyncio

from devices.door.readers.keypad import Keypad
from tests.patience import PATIENCE_SECONDS


def typed(keypad: Keypad, keys: str) -> None:
    for key in keys:
        keypad.pressed(key)


async def test_hash_ends_star_clears_and_others_are_not_taken() -> None:
    pins: list[str] = []
    keypad = Keypad(pins.append)
    typed(keypad, "#12*48A1²593##")
    assert pins == ["481593"]
    keypad.clear()


async def test_too_many_digits_are_no_pin() -> None:
    pins: list[str] = []
    keypad = Keypad(pins.append)
    typed(keypad, "1" * 500 + "#")
    assert pins == ["1" * 13]


async def test_silence_clears() -> None:
    pins: list[str] = []
    keypad = Keypad(pins.append, silence_seconds=0.05)
    typed(keypad, "48")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while keypad.is_begun:
            await asyncio.sleep(0.005)
    typed(keypad, "1593#")
    assert pins == ["1593"]
