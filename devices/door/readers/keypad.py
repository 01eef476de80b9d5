"""Keys that make a PIN: `#` ends it, `*` clears it, and so does silence."""

import asyncio
from collections.abc import Callable

from devices.access.credentials import MAX_DIGITS

SILENCE_SECONDS = 10.0


class Keypad:
    """`on_pin` gets the digits. All on the loop."""

    def __init__(self, on_pin: Callable[[str], None], silence_seconds: float = SILENCE_SECONDS) -> None:
        self._on_pin = on_pin
        self._silence_seconds = silence_seconds
        self._digits = ""
        self._silence: asyncio.TimerHandle | None = None

    @property
    def is_begun(self) -> bool:
        """Some digits, and no end yet."""
        return bool(self._digits)

    def pressed(self, key: str) -> None:
        """`0` to `9`, `#` or `*`; others are not taken."""
        digits = self._digits
        self.clear()
        if key == "#":
            if digits:
                self._on_pin(digits)
        elif key.isascii() and key.isdecimal():
            self._digits = (digits + key)[: MAX_DIGITS + 1]  # one too many is no PIN: it opens nothing
            self._silence = asyncio.get_running_loop().call_later(self._silence_seconds, self.clear)
        elif key != "*" and digits:
            self._digits = digits
            self._silence = asyncio.get_running_loop().call_later(self._silence_seconds, self.clear)

    def clear(self) -> None:
        self._digits = ""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
