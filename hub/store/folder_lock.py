"""One hub at a time: a lock on the data folder, which also records whether the last hub ended properly.

The operating system releases the lock when the process ends. The file's content is for people, and for the next start:
a hub that was killed leaves no `has_ended`, and the database is then checked before it is used.
"""

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from hub.store.trouble import DataInUseError

FILE = "hub.lock"


class FolderLock:
    """`with FolderLock(folder) as lock:` around everything that uses the data. Raises DataInUseError, OSError."""

    def __init__(self, folder: Path) -> None:
        self.was_closed_in_order = False
        """False if there was no lock before, since it is not known."""
        self._folder = folder
        self._file = -1
        self._state: dict[str, Any] = {}

    @property
    def sound_at(self) -> datetime | None:
        """When the database was last known to be intact; None for a new folder."""
        value = self._state.get("sound_at")
        return datetime.fromisoformat(value) if value else None

    def __enter__(self) -> Self:
        file = os.open(self._folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        self._state = _read(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise DataInUseError(
                f"another hub uses {self._folder}: process {self._state.get('process', '?')} on "
                f"{self._state.get('machine', '?')}, since {self._state.get('since', '?')}. Stop it first"
            ) from None
        self._file = file
        self.was_closed_in_order = bool(self._state.get("has_ended", False))
        self._write(has_ended=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is None:
            self._write(has_ended=True, sound_at=datetime.now(UTC))
        os.close(self._file)

    def mark_sound(self) -> None:
        """Record that the database was checked."""
        self._write(has_ended=False, sound_at=datetime.now(UTC))

    def _write(self, *, has_ended: bool, sound_at: datetime | None = None) -> None:
        """Written in place, since the lock is on this file. With a full disk it stays as it was."""
        since = datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="seconds")
        self._state |= {"process": os.getpid(), "machine": socket.gethostname(), "has_ended": has_ended}
        self._state |= {"since": since} if not has_ended else {}
        self._state |= {"sound_at": sound_at.isoformat()} if sound_at else {}
        text = json.dumps(self._state).encode()
        try:
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))
            os.fsync(self._file)
        except OSError:
            return


def holder(folder: Path) -> int | None:
    """The process id of the hub that uses this folder, as it recorded it; None if there is none. Changes nothing."""
    try:
        file = os.open(folder / FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        state = _read(file)
    finally:
        os.close(file)
    process, is_here = state.get("process"), state.get("machine") == socket.gethostname()
    if state.get("has_ended", True) or not is_here or not Path(f"/proc/{process}").exists():
        return None
    return int(str(process))


def _read(file: int) -> dict[str, Any]:
    try:
        value = json.loads(os.pread(file, 4096, 0) or b"{}")
    except ValueError:
        return {}  # truncated
    return value if isinstance(value, dict) else {}
