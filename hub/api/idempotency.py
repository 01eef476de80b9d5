"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the same POST twice is done once, and answered twice.

The answer is kept for a day, sealed with a key made of the caller's Idempotency-Key, which is not stored: an
enrolment's link or a visitor's name is not to be read in the database.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

import orjson
from nacl.secret import SecretBox
from sqlalchemy import Connection, delete, insert, select, update

from hub.store.store import Store, now
from hub.store.tables import api_answer
from hub.web.problems import ProblemError

KEPT = timedelta(days=1)


@dataclass(frozen=True)
class SavedResponse:
    """What was answered, to be answered again."""

    status: int
    headers: dict[str, str]
    body: str


class IdempotencyKeys:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._at_work: set[bytes] = set()

    async def begin(self, caller: str, key: str, request: bytes) -> "SavedResponse | IdempotencyKey":
        """The answer that this request got before, or a key to finish.

        Raises the problems in-progress, outcome-unknown (the hub stopped meanwhile) or key-reused.
        """
        taken = IdempotencyKey(
            _digest(b"id", caller, key), _digest(b"seal", caller, key), hashlib.sha256(request).digest()
        )
        if taken.id in self._at_work:
            raise ProblemError("in-progress", "Ask again in a moment.", headers={"Retry-After": "1"})
        self._at_work.add(taken.id)
        try:
            answer = await self._reserve(taken)
        except BaseException:
            self._at_work.discard(taken.id)
            raise
        if answer is not None:
            self._at_work.discard(taken.id)
        return answer or taken

    async def finish(self, key: "IdempotencyKey", answer: SavedResponse) -> None:
        """It has been done: whoever asks again gets this answer."""
        text = orjson.dumps({"status": answer.status, "headers": answer.headers, "body": answer.body})
        sealed = bytes(SecretBox(key.seal).encrypt(text))
        await self._store.write(
            lambda connection: connection.execute(
                update(api_answer).where(api_answer.c.id == key.id).values(answer=sealed)
            )
        )
        self._at_work.discard(key.id)

    async def forget(self, key: "IdempotencyKey") -> None:
        """It was refused, and nothing has been done: the key is free again."""
        await self._store.write(
            lambda connection: connection.execute(delete(api_answer).where(api_answer.c.id == key.id))
        )
        self._at_work.discard(key.id)

    def let_go(self, key: "IdempotencyKey") -> None:
        """It broke off, and nobody knows whether it was done."""
        self._at_work.discard(key.id)

    async def _reserve(self, key: "IdempotencyKey") -> SavedResponse | None:
        def write(connection: Connection) -> tuple[bytes, bytes | None] | None:
            at = now()
            connection.execute(delete(api_answer).where(api_answer.c.made_at < at - KEPT))
            row = connection.execute(select(api_answer).where(api_answer.c.id == key.id)).first()
            if row is not None:
                return row.request_hash, row.answer
            connection.execute(insert(api_answer), {"id": key.id, "request_hash": key.request, "made_at": at})
            return None

        known = await self._store.write(write)
        if known is None:
            return None
        request, sealed = known
        if request != key.request:
            raise ProblemError("key-reused", "This Idempotency-Key came with another request.")
        if sealed is None:
            raise ProblemError(
                "outcome-unknown", "The first request with this key broke off. Look, then use a new key."
            )
        return SavedResponse(**orjson.loads(SecretBox(key.seal).decrypt(sealed)))


@dataclass(frozen=True)
class IdempotencyKey:
    """One Idempotency-Key of one caller."""

    id: bytes
    seal: bytes
    request: bytes


def _digest(purpose: bytes, caller: str, key: str) -> bytes:
    return hashlib.sha256(b"\0".join((purpose, caller.encode(), key.encode()))).digest()
