"""What employees are called outside of the directory: by ids that nobody can work out who lacks the hub's key.

A hash without a key hides no user name: there are few of them, and whoever has seen an id tries them all.

Once ids were such hashes, of 20 characters. The id of today is made from that one, so that a migration, or whoever
still has an old one, needs the key and no directory. Those of today are longer, so that none is made from itself.
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
    """There are people in the store, and the key by which they got their ids is gone."""


class PersonIds:
    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def kept(cls, data: Path) -> "PersonIds":
        """By the key in the data folder, which the migrations have made. Raises LostKeyError, or OSError."""
        path = _file(data)
        if not path.exists():
            raise LostKeyError(
                f"{path} is missing. People have got their ids by it: put it back from the backup "
                "(docs/configuration.md, Backup)"
            )
        return cls(path.read_bytes())

    @classmethod
    def made(cls, data: Path) -> "PersonIds":
        """As `kept`; a key that there is not is made, and on the disk before anything can go by it. Raises OSError."""
        path = _file(data)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with NamedTemporaryFile(dir=path.parent) as file:
                file.write(token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
                with suppress(FileExistsError):  # a command beside the hub was quicker
                    os.link(file.name, path)
            _sync(path.parent)
        return cls.kept(data)

    def of(self, name: str) -> str:
        """Of what identifies somebody in the directory."""
        return self.today(sha256(b"kommunevert person " + name.encode()).hexdigest()[:20])

    def today(self, known: str) -> str:
        """The id of whoever once had the id `known`; one of today stays as it is."""
        if not OLD.fullmatch(known):
            return known
        return blake2b(known.encode(), key=self._key, digest_size=ID_BYTES).hexdigest()


def _file(data: Path) -> Path:
    return data / "keys" / "person.key"


def _sync(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
