"""The process that holds the doors' signing key: `python signer.py KEYFILE`, a program of its own.

It signs only a command whose intent stands committed in the store, is not ended, is young, and was not signed
before (D3, D6). The hub says where the store is and asks, in lines of JSON on standard input; the key never leaves
this process. It ends when its standard input does. It imports nothing of ours: what guards the key stays small.
"""

import os
import sqlite3
import sys
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from nacl.signing import SigningKey

OLDEST = timedelta(seconds=15)
NONCE_CHARACTERS = 32
COLUMNS = ("door", "verb", "pulse_ms", "audit", "outcome", "asked_at")

Row = dict[str, Any]


class RefusedError(Exception):
    """Not signed; the text says why."""


def main() -> None:
    key = load_key(Path(sys.argv[1]))
    _say({"verify_key": key.verify_key.encode().hex()})
    address = sys.stdin.readline().strip()
    if not address:
        return
    intent = reader(address)
    signed: set[str] = set()
    for line in sys.stdin:
        request = orjson.loads(line)
        try:
            content = request["content"].encode()
            check(content, intent, signed)
            _say({"id": request["id"], "signature": b64encode(key.sign(content).signature).decode()})
        except Exception as error:  # noqa: BLE001 (whatever it is: nothing is signed, the hub is told, the next is served)
            _say({"id": request["id"], "error": f"{type(error).__name__}: {str(error)[:200]}"})


def check(content: bytes, intent: Callable[[str], Row | None], signed: set[str]) -> None:
    """Raises RefusedError unless this exact command was intended, just now, and is signed for the first time.

    The nonce is the door's word and free; every other byte is what the row says. No second reading of the same JSON is
    possible: it must be what we would write ourselves.
    """
    command = orjson.loads(content)
    if not isinstance(command, dict) or orjson.dumps(command) != content:
        raise RefusedError("not written as we write it")
    name, nonce = command.get("command"), command.get("nonce")
    if not isinstance(name, str) or not isinstance(nonce, str) or len(nonce) != NONCE_CHARACTERS:
        raise RefusedError("malformed")
    if name in signed:
        raise RefusedError("signed before")
    row = intent(name)
    if row is None:
        raise RefusedError("no committed intent")
    wanted = {key: row[key] for key in ("door", "verb", "pulse_ms", "audit")} | {"command": name, "nonce": nonce}
    if command != wanted:
        raise RefusedError("not what was intended")
    if row["outcome"] is not None:
        raise RefusedError("ended already")
    if datetime.now(UTC) - _utc(row["asked_at"]) > OLDEST:
        raise RefusedError("too old")
    signed.add(name)


def reader(address: str) -> Callable[[str], Row | None]:
    """Asks the store at this SQLAlchemy address for one intent, on a connection of its own that cannot write."""
    select = f"SELECT {', '.join(COLUMNS)} FROM locks_command WHERE id = "  # noqa: S608 (our own column names)
    if address.startswith("sqlite:"):
        file = Path(address.removeprefix("sqlite:///")).resolve().as_uri()
        connection = sqlite3.connect(f"{file}?mode=ro", uri=True, isolation_level=None)
        return lambda name: _row(connection.execute(f"{select}?", (name,)).fetchone())
    return _postgresql(address.replace("+psycopg", "", 1), f"{select}%s")


def _postgresql(address: str, select: str) -> Callable[[str], Row | None]:
    import psycopg  # noqa: PLC0415 (a hub with SQLite is spared it)

    def connected() -> psycopg.Connection:
        made = psycopg.connect(address, autocommit=True, connect_timeout=2)
        made.read_only = True
        return made

    connection = connected()

    def intent(name: str) -> Row | None:
        nonlocal connection
        try:
            found = connection.execute(select.encode(), (name,)).fetchone()
        except psycopg.OperationalError:  # the server has been away
            connection = connected()
            found = connection.execute(select.encode(), (name,)).fetchone()
        return _row(found)

    return intent


def _row(found: tuple[Any, ...] | None) -> Row | None:
    return dict(zip(COLUMNS, found, strict=True)) if found else None


def load_key(path: Path) -> SigningKey:
    """Made at the first start, readable by nobody else."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(SigningKey.generate().encode())
    return SigningKey(path.read_bytes())


def _utc(moment: str | datetime) -> datetime:
    """SQLite keeps text without a zone, PostgreSQL a time with one."""
    return datetime.fromisoformat(moment).replace(tzinfo=UTC) if isinstance(moment, str) else moment


def _say(answer: dict[str, str]) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
