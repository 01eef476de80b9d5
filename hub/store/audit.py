"""The audit log: a hash chain over salted commitments (D8).

Each entry commits to its details with a salt and chains the commitment, not the details. Erasing details and salt
of one entry leaves the chain intact, and the salt prevents guessing what it was.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select, update

from hub.store.retention import PART_ROWS
from hub.store.store import now
from hub.store.tables import audit

SALT_BYTES = 16
START = bytes(32)


@dataclass(frozen=True)
class Entry:
    id: int
    happened_at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any] | None


def record(connection: Connection, actor: str, action: str, subject: str, details: dict[str, Any] | None = None) -> int:
    """Append an entry in the caller's transaction; returns its number. Personal data belong in `details` only."""
    last = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).first()
    number, previous = (last.id + 1, last.hash) if last else (1, START)
    happened_at = now()
    text = orjson.dumps(details or {}, option=orjson.OPT_SORT_KEYS).decode()
    salt = secrets.token_bytes(SALT_BYTES)
    commitment = _commitment(salt, text)
    connection.execute(
        insert(audit),
        {
            "id": number,
            "happened_at": happened_at,
            "actor": actor,
            "action": action,
            "subject": subject,
            "details": text,
            "salt": salt,
            "commitment": commitment,
            "hash": _hash(previous, number, happened_at, actor, action, subject, commitment),
        },
    )
    return number


def last_number(connection: Connection) -> int:
    """The number of the newest entry; 0 if there is none."""
    return connection.execute(select(func.max(audit.c.id))).scalar() or 0


def newest(connection: Connection, limit: int = 100, before: int | None = None) -> list[Entry]:
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    return [
        Entry(
            row.id,
            row.happened_at,
            row.actor,
            row.action,
            row.subject,
            orjson.loads(row.details) if row.details else None,
        )
        for row in connection.execute(query)
    ]


def erase_details(connection: Connection, actions: str, before: datetime) -> int:
    """Erase the details of entries whose action begins with `actions`; the chain still verifies.

    At most PART_ROWS entries, the oldest first; returns how many.
    """
    old = audit.c.action.startswith(actions) & (audit.c.happened_at < before) & audit.c.salt.is_not(None)
    entries = select(audit.c.id).where(old).order_by(audit.c.happened_at).limit(PART_ROWS)
    return connection.execute(update(audit).where(audit.c.id.in_(entries)).values(details=None, salt=None)).rowcount


def first_broken(connection: Connection) -> int | None:
    """The number of the first entry that was changed, removed or added from outside; None if the chain is intact."""
    previous, expected = START, 1
    for row in connection.execute(select(audit).order_by(audit.c.id)):
        is_hash_valid = row.hash == _hash(
            previous, row.id, row.happened_at, row.actor, row.action, row.subject, row.commitment
        )
        is_commitment_valid = row.salt is None or row.commitment == _commitment(row.salt, row.details or "")
        if row.id != expected or not is_hash_valid or not is_commitment_valid:
            return expected
        previous, expected = row.hash, expected + 1
    return None


def length(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(audit)).scalar_one()


def _commitment(salt: bytes, details: str) -> bytes:
    return hashlib.sha256(salt + details.encode()).digest()


def _hash(
    previous: bytes, number: int, at: datetime, actor: str, action: str, subject: str, commitment: bytes
) -> bytes:
    line = orjson.dumps([number, at.isoformat(), actor, action, subject, commitment.hex()])
    return hashlib.sha256(previous + line).digest()
