"""One hub at a time: a lock on the data folder, which also tells whether the last hub ended in order.

The kernel lets go of the lock when the process ends, however it ends. What the file says is for people, and for the
next start: a hub that was killed leaves no "ended", and then the database is looked through before it is used.
"""

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from hub.store.trouble import HeldError

FILE = "hub.lock"


class Hold:
    """`with Hold(folder) as hold:` around everything that touches the data. Raises HeldError, OSError."""

    def __init__(self, folder: Path) -> None:
        self.was_closed_in_order = False
        """Not known, and so not, where there has been no lock before."""
        self._folder = folder
        self._file = -1
        self._says: dict[str, Any] = {}

    @property
    def sound_at(self) -> datetime | None:
        """When the database was last known to be whole; None for a folder that is new."""
        found = self._says.get("sound_at")
        return datetime.fromisoformat(found) if found else None

    def __enter__(self) -> Self:
        file = os.open(self._folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        self._says = _read(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise HeldError(
                f"another hub uses {self._folder}: process {self._says.get('process', '?')} on "
                f"{self._says.get('machine', '?')}, since {self._says.get('since', '?')}. Stop it first"
            ) from None
        self._file = file
        self.was_closed_in_order = bool(self._says.get("has_ended", False))
        self._write(has_ended=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is None:
            self._write(has_ended=True, sound_at=datetime.now(UTC))
        os.close(self._file)

    def sound(self) -> None:
        """The database has been looked through."""
        self._write(has_ended=False, sound_at=datetime.now(UTC))

    def _write(self, *, has_ended: bool, sound_at: datetime | None = None) -> None:
        """In place: the lock is on this very file. A full disk leaves it as it was, which a next start survives."""
        since = datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="seconds")
        self._says |= {"process": os.getpid(), "machine": socket.gethostname(), "has_ended": has_ended}
        self._says |= {"since": since} if not has_ended else {}
        self._says |= {"sound_at": sound_at.isoformat()} if sound_at else {}
        text = json.dumps(self._says).encode()
        try:
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))
            os.fsync(self._file)
        except OSError:
            return


def holder(folder: Path) -> int | None:
    """The process of the hub that uses this folder now, as it wrote it down itself. Nothing is changed."""
    try:
        file = os.open(folder / FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        says = _read(file)
    finally:
        os.close(file)
    process, is_here = says.get("process"), says.get("machine") == socket.gethostname()
    if says.get("has_ended", True) or not is_here or not Path(f"/proc/{process}").exists():
        return None
    return int(str(process))


def _read(file: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(file, 4096, 0) or b"{}")
    except ValueError:
        return {}  # cut in the middle of a word
    return found if isinstance(found, dict) else {}
