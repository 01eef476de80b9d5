"""The signer process, which holds the hub's private keys: `python signer.py FOLDER`.

It signs only commands whose intent is committed in the store, recent, without an outcome and not signed before, and
access lists and visitors' passes that are stored there (D3, D6). It creates only keys that are stored as active, and
destroys only those stored as retired. The first line on standard input is the store's address, the following ones are
requests in JSON; no private key ever leaves this process. It ends with its standard input. It imports nothing of ours,
to keep what guards the keys small.
"""

import hashlib
import os
import re
import sqlite3
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from nacl.signing import SigningKey

OLDEST = timedelta(seconds=15)
NONCE_CHARACTERS = 32
OLDEST_MADE = timedelta(minutes=5)
COMMAND_COLUMNS = ("signs", "outcome", "asked_at")
LIST, PASS = b"list\n", b"pass\n"
MADE_COLUMNS = ("made_at",)
KEY_COLUMNS = ("retired_at",)
KEY_NAME = re.compile(r"hub-[0-9]{1,6}")

Row = dict[str, Any]


class RefusedError(Exception):
    """Not signed; the text says why."""


def main() -> None:
    keys = PrivateKeys(Path(sys.argv[1]))
    store = Store(sys.stdin.readline().strip())
    for name in list(keys):
        if (row := _row_of(name, store)) and row["retired_at"]:
            keys.destroy(name)  # retired in the store, but a crash came before it was destroyed
    _write({"ready": True})
    signed: set[str] = set()
    for line in sys.stdin:
        request = orjson.loads(line)
        try:
            _write({"id": request["id"], "answer": answer(request, keys, store, signed)})
        except Exception as error:  # noqa: BLE001 (whatever it is: nothing is signed, the hub gets the error)
            _write({"id": request["id"], "error": f"{type(error).__name__}: {str(error)[:200]}"})


def answer(request: dict[str, str], keys: "PrivateKeys", store: "Store", signed: set[str]) -> str:
    """The response to one request: a signature in Base64, or a verify key in hexadecimal. Raises RefusedError."""
    name = request["key"]
    if request["what"] == "sign":
        key, content = keys[name], b64decode(request["content"])
        check(content, store, signed)
        return b64encode(key.sign(content).signature).decode()
    row = _row_of(name, store)
    if row is None or (row["retired_at"] is None) != (request["what"] == "make"):
        raise RefusedError("no committed intent")
    return keys.make(name) if request["what"] == "make" else keys.destroy(name)


def _row_of(name: str, store: "Store") -> "Row | None":
    return store.one(KEY_COLUMNS, "locks_hub_key", "id", name)


def check(content: bytes, store: "Store", signed: set[str]) -> None:
    """Raises RefusedError unless this content has a recent committed intent and was not signed before.

    Prefixes tell lists and passes from commands, which are JSON.
    """
    if content.startswith(LIST):
        return _check_made(content, store, "locks_list")
    if content.startswith(PASS):
        return _check_made(content, store, "locks_pass")
    return _check_command(content, store, signed)


def _check_made(content: bytes, store: "Store", table: str) -> None:
    row = store.one(MADE_COLUMNS, table, "sha256", hashlib.sha256(content).hexdigest())
    if row is None:
        raise RefusedError("no committed intent")
    if datetime.now(UTC) - _utc(row["made_at"]) > OLDEST_MADE:
        raise RefusedError("too old")


def _check_command(content: bytes, store: "Store", signed: set[str]) -> None:
    """The nonce comes from the door; everything else must equal the stored intent.

    The JSON must be exactly what orjson writes, so that it cannot be parsed in two ways.
    """
    command = orjson.loads(content)
    if not isinstance(command, dict) or orjson.dumps(command) != content:
        raise RefusedError("not written as we write it")
    name, nonce = command.get("command"), command.pop("nonce", None)
    if not isinstance(name, str) or not isinstance(nonce, str) or len(nonce) != NONCE_CHARACTERS:
        raise RefusedError("malformed")
    if name in signed:
        raise RefusedError("signed before")
    row = store.one(COMMAND_COLUMNS, "locks_command", "id", name)
    if row is None:
        raise RefusedError("no committed intent")
    if row["signs"] is None or orjson.loads(row["signs"]) != command:
        raise RefusedError("not what was intended")
    if row["outcome"] is not None and command["verb"] != "deny":
        raise RefusedError("ended already")
    if datetime.now(UTC) - _utc(row["asked_at"]) > OLDEST:
        raise RefusedError("too old")
    signed.add(name)


class Store:
    """One row at a time, on a connection of its own that cannot write. `address` is SQLAlchemy's."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._is_sqlite = address.startswith("sqlite:")
        self._connection = self._connected()

    def one(self, columns: tuple[str, ...], table: str, key: str, value: str) -> Row | None:
        mark = "?" if self._is_sqlite else "%s"
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE {key} = {mark}"  # noqa: S608 (our own names)
        try:
            found = self._connection.execute(query, (value,)).fetchone()
        except Exception:  # noqa: BLE001 (PostgreSQL has been away; a second failure is raised)
            self._connection = self._connected()
            found = self._connection.execute(query, (value,)).fetchone()
        return dict(zip(columns, found, strict=True)) if found else None

    def _connected(self) -> Any:
        if self._is_sqlite:
            file = Path(self._address.removeprefix("sqlite:///")).resolve().as_uri()
            return sqlite3.connect(f"{file}?mode=ro", uri=True, isolation_level=None)
        import psycopg  # noqa: PLC0415 (a hub with SQLite is spared it)

        made = psycopg.connect(self._address.replace("+psycopg", "", 1), autocommit=True, connect_timeout=2)
        made.read_only = True
        return made


class PrivateKeys:
    """Private keys, one file each, readable by nobody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (only := folder / "door-signing.key").exists():  # from before there could be several
            only.rename(folder / "hub-1.key")
        self._read: dict[str, SigningKey] = {}

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self._folder.glob("hub-*.key")))

    def __getitem__(self, name: str) -> SigningKey:
        """Raises RefusedError."""
        if name not in self._read:
            try:
                self._read[name] = SigningKey(self._path(name).read_bytes())
            except FileNotFoundError:
                raise RefusedError(f"{self._path(name)} is missing: put it back from the backup") from None
        return self._read[name]

    def make(self, name: str) -> str:
        """The verify key; a key that exists already is kept."""
        if not self._path(name).exists():
            fresh = self._path(name).with_suffix(".new")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(SigningKey.generate().encode())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path(name))
            self._sync()
        return self[name].verify_key.encode().hex()

    def destroy(self, name: str) -> str:
        self._read.pop(name, None)
        self._path(name).unlink(missing_ok=True)
        self._sync()
        return ""

    def _sync(self) -> None:
        """Make the folder's entries durable."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str) -> Path:
        if not KEY_NAME.fullmatch(name):
            raise RefusedError("malformed")
        return self._folder / f"{name}.key"


def _utc(moment: str | datetime) -> datetime:
    """SQLite stores text without a zone, PostgreSQL times with one."""
    return datetime.fromisoformat(moment).replace(tzinfo=UTC) if isinstance(moment, str) else moment


def _write(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
