"""The key that one OSDP reader and its controller share (SCBK): 16 bytes, hexadecimal, in a file of its own."""

import os
import secrets
import stat
from pathlib import Path

from devices.door.hardware.interface import HardwareError

KEY_BYTES = 16
DEFAULT_KEY = bytes(range(0x30, 0x40))
"""SCBK-D, which every new reader has and everybody knows (IEC 60839-11-5)."""
FEWEST_DIFFERENT = 8
"""Different bytes in a key: one drawn by lot has fewer once in ten million, one thought up by somebody often."""


def reader_key(path: Path) -> bytes:
    """The key in `path`; made when there is none. Raises HardwareError, which says what to do."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _made(path)
    except OSError as error:
        raise HardwareError(f"the reader's key file {path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise HardwareError(f"others may read the reader's key: chmod 600 {path}")
        text = file.read(200).strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise HardwareError(f"{path} does not hold 32 hexadecimal digits: delete it, and install the reader again")
    if key == DEFAULT_KEY or len(set(key)) < FEWEST_DIFFERENT:
        raise HardwareError(f"the key in {path} is known or easily guessed: delete it, and install the reader again")
    return key


def _made(path: Path) -> bytes:
    """A new key, durable before it is loaded into a reader: without it the reader must be reset by hand."""
    key = secrets.token_bytes(KEY_BYTES)
    while len(set(key)) < FEWEST_DIFFERENT:
        key = secrets.token_bytes(KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(descriptor)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        raise HardwareError(f"the reader's key cannot be written to {path}: {error.strerror}") from error
    return key
