"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a repeated POST is executed once and answered twice.

The response is stored for a day, encrypted with a key derived from the caller's Idempotency-Key, which is not stored:
it may contain an enrolment link or a visitor's name.
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

RETENTION = timedelta(days=1)


@dataclass(frozen=True)
class SavedResponse:
    """A response, to be sent again."""

    status: int
    headers: dict[str, str]
    body: str


class IdempotencyKeys:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_progress: set[bytes] = set()

    async def begin(self, caller: str, key: str, request: bytes) -> "SavedResponse | IdempotencyKey":
        """The saved response of this request, or a key to `finish`.

        Raises the problems in-progress, outcome-unknown (the hub stopped meanwhile) or key-reused.
        """
        key_used = IdempotencyKey(
            _digest(b"id", caller, key), _digest(b"seal", caller, key), hashlib.sha256(request).digest()
        )
        if key_used.id in self._in_progress:
            raise ProblemError("in-progress", "Ask again in a moment.", headers={"Retry-After": "1"})
        self._in_progress.add(key_used.id)
        try:
            answer = await self._reserve(key_used)
        except BaseException:
            self._in_progress.discard(key_used.id)
            raise
        if answer is not None:
            self._in_progress.discard(key_used.id)
        return answer or key_used

    async def finish(self, key: "IdempotencyKey", answer: SavedResponse) -> None:
        """Save the response of a request that was executed."""
        text = orjson.dumps({"status": answer.status, "headers": answer.headers, "body": answer.body})
        sealed = bytes(SecretBox(key.seal).encrypt(text))
        await self._store.write(
            lambda connection: connection.execute(
                update(api_answer).where(api_answer.c.id == key.id).values(answer=sealed)
            )
        )
        self._in_progress.discard(key.id)

    async def forget(self, key: "IdempotencyKey") -> None:
        """Free the key: the request was refused, and had no effect."""
        await self._store.write(
            lambda connection: connection.execute(delete(api_answer).where(api_answer.c.id == key.id))
        )
        self._in_progress.discard(key.id)

    def abandon(self, key: "IdempotencyKey") -> None:
        """The request broke off, and may have had an effect: the key cannot be used again."""
        self._in_progress.discard(key.id)

    async def _reserve(self, key: "IdempotencyKey") -> SavedResponse | None:
        def write(connection: Connection) -> tuple[bytes, bytes | None] | None:
            at = now()
            connection.execute(delete(api_answer).where(api_answer.c.made_at < at - RETENTION))
            row = connection.execute(select(api_answer).where(api_answer.c.id == key.id)).first()
            if row is not None:
                return row.request_hash, row.answer
            connection.execute(insert(api_answer), {"id": key.id, "request_hash": key.request, "made_at": at})
            return None

        stored = await self._store.write(write)
        if stored is None:
            return None
        request, sealed = stored
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
