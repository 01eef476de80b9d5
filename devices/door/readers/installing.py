"""Loads its key into a new OSDP reader. Started by a person at the controller, for at most five minutes.

The controller itself has no such mode: a new reader uses the publicly known key SCBK-D, so that whoever listens on the
line during the installation learns the new key too.
"""

import asyncio
from typing import Any

from devices.door.readers.osdp import OsdpLine
from devices.door.readers.serial_port import Baud

SECONDS = 300.0


class NotInstalledError(Exception):
    """The reader has not accepted its key; the text gives the last condition."""


async def install(port: str, baud: Baud, address: int, key: bytes, seconds: float = SECONDS) -> None:
    """Return when the reader has spoken with `key`. Raises NotInstalledError, and HardwareError."""
    is_installed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    last = ""

    def on_message(message: dict[str, Any]) -> None:
        nonlocal last
        last = {
            "plain": "the reader has no secure channel",
            "other_key": "the reader has a key of another controller: set it back to its maker's settings first",
            "silent": message.get("why") or f"nothing answers at {port}, address {address}, {baud} baud",
        }.get(message.get("state", ""), last)
        if message.get("state") == "online" and not is_installed.done():
            is_installed.set_result(None)

    line = OsdpLine(port, baud, {address: key}, installs=True)
    line.join(address, on_message)
    try:
        await asyncio.wait({is_installed}, timeout=seconds)
    finally:
        line.leave(address)
    if not is_installed.done():
        raise NotInstalledError(last or "the reader said nothing")
