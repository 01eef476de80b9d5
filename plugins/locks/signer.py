"""The process that holds the doors' signing key: `python -m plugins.locks.signer KEYFILE`.

It signs only a command whose intent stands committed in the store, is not ended, is young, and was not signed
before (D3, D6). The hub has the store's address and asks by lines of JSON on standard input; the key never
leaves this process. It ends when its standard input does.
"""

import os
import sys
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import orjson
from nacl.signing import SigningKey
from pydantic import ValidationError
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.exc import SQLAlchemyError

from devices.contract.door import Command
from hub.store import now
from plugins.locks.tables import command as command_table

OLDEST = timedelta(seconds=15)


class RefusedError(Exception):
    """Not signed; the text says why."""


def main() -> None:
    key = load_key(Path(sys.argv[1]))
    _say({"verify_key": key.verify_key.encode().hex()})
    address = sys.stdin.readline().strip()
    if not address:
        return
    store = create_engine(_read_only(address))
    signed: set[str] = set()
    for line in sys.stdin:
        request = orjson.loads(line)
        try:
            content = request["content"].encode()
            check(store, Command.model_validate_json(content), signed)
            _say({"id": request["id"], "signature": b64encode(key.sign(content).signature).decode()})
        except (RefusedError, ValidationError, SQLAlchemyError) as error:
            _say({"id": request["id"], "error": f"{type(error).__name__}: {str(error)[:200]}"})


def check(store: Engine, command: Command, signed: set[str]) -> None:
    """Raises RefusedError unless this exact command was intended, just now, and is signed for the first time."""
    if command.command in signed:
        raise RefusedError("signed before")
    with store.connect() as connection:
        row = connection.execute(select(command_table).where(command_table.c.id == command.command)).first()
    if row is None:
        raise RefusedError("no committed intent")
    if (row.door, row.verb, row.pulse_ms, row.audit) != (command.door, command.verb, command.pulse_ms, command.audit):
        raise RefusedError("not what was intended")
    if row.outcome is not None:
        raise RefusedError("ended already")
    if now() - row.asked_at > OLDEST:
        raise RefusedError("too old")
    signed.add(command.command)


def load_key(path: Path) -> SigningKey:
    """Made at the first start, readable by nobody else."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(SigningKey.generate().encode())
    return SigningKey(path.read_bytes())


def _read_only(url: str) -> str:
    return url.replace("sqlite:///", "sqlite:///file:", 1) + "?mode=ro&uri=true" if url.startswith("sqlite:") else url


def _say(answer: dict[str, str]) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
