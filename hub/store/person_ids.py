"""Pseudonymous ids of employees, which cannot be computed without the hub's key.

A hash without a key would not hide a user name: there are few of them, so all can be tried.

Old ids were such hashes, of 20 characters. The current id is derived from the old one, so that a migration needs only
the key and no directory. Current ids are longer, so that they are not mistaken for old ones.
"""

import os
import re
from contextlib import suppress
from hashlib import blake2b, sha256
from pathlib import Path
from secrets import token_bytes
from tempfile import NamedTemporaryFile

KEY_BYTES = 32
ID_BYTES = 12
OLD = re.compile(r"[0-9a-f]{20}")


class LostKeyError(Exception):
    """The key from which stored ids of people were derived is missing."""


class PersonIds:
    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def load(cls, data: Path) -> "PersonIds":
        """With the key in the data folder, which the migrations have created. Raises LostKeyError, or OSError."""
        path = _file(data)
        if not path.exists():
            raise LostKeyError(
                f"{path} is missing. People have got their ids by it: put it back from the backup "
                "(docs/configuration.md, Backup)"
            )
        return cls(path.read_bytes())

    @classmethod
    def load_or_create(cls, data: Path) -> "PersonIds":
        """As `load`, but creates a missing key, and syncs it to disk before it is used. Raises OSError."""
        path = _file(data)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with NamedTemporaryFile(dir=path.parent) as file:
                file.write(token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
                with suppress(FileExistsError):  # created meanwhile by another process
                    os.link(file.name, path)
            _sync(path.parent)
        return cls.load(data)

    def of(self, name: str) -> str:
        """The id for a person's user name in the directory."""
        return self.current_id(sha256(b"kommunevert person " + name.encode()).hexdigest()[:20])

    def current_id(self, old_id: str) -> str:
        """The current id for an old one; a current id is returned as it is."""
        if not OLD.fullmatch(old_id):
            return old_id
        return blake2b(old_id.encode(), key=self._key, digest_size=ID_BYTES).hexdigest()


def _file(data: Path) -> Path:
    return data / "keys" / "person.key"


def _sync(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
