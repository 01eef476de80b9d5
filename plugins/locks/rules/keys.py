"""The key that cards and PINs are hashed with (devices.access.credentials)."""

import os
from pathlib import Path
from secrets import choice, token_bytes

from devices.access.credentials import KEY_BYTES, is_easily_guessed

PIN_DIGITS = 6


def credential_key(folder: Path) -> bytes:
    """Created at the first start with mode 0600. Without it all cards must be learnt again. Raises OSError."""
    path = folder / "credentials.key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(token_bytes(KEY_BYTES))
    return path.read_bytes()


def new_pin() -> str:
    """Six random digits that are not easily guessed."""
    while True:
        digits = "".join(choice("0123456789") for _ in range(PIN_DIGITS))
        if not is_easily_guessed(digits):
            return digits
