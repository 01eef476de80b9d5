"""To load its key into a new OSDP reader: a person's work, at the controller, and over after five minutes.

The controller itself has no such mode. A new reader has the key that everybody knows (SCBK-D), and who listens on the
line while its own is loaded has that too: so it is a program by itself, started by who stands before the reader, while
the controller stands still.
"""

import asyncio
from typing import Any

from devices.door.readers.osdp import OsdpLine
from devices.door.readers.serial_port import Baud

SECONDS = 300.0


class NotInstalledError(Exception):
    """The reader has not taken its key; the text says what was seen last."""


async def install(port: str, baud: Baud, address: int, key: bytes, seconds: float = SECONDS) -> None:
    """Return when the reader has spoken with `key`. Raises NotInstalledError, and HardwareError."""
    has_taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    last = ""

    def hear(said: dict[str, Any]) -> None:
        nonlocal last
        last = {
            "plain": "the reader has no secure channel",
            "other_key": "the reader has a key of another controller: set it back to its maker's settings first",
            "silent": said.get("why") or f"nothing answers at {port}, address {address}, {baud} baud",
        }.get(said.get("state", ""), last)
        if said.get("state") == "online" and not has_taken.done():
            has_taken.set_result(None)

    line = OsdpLine(port, baud, {address: key}, installs=True)
    line.join(address, hear)
    try:
        await asyncio.wait({has_taken}, timeout=seconds)
    finally:
        line.leave(address)
    if not has_taken.done():
        raise NotInstalledError(last or "the reader said nothing")
