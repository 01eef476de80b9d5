"""Tokens for programs; each is limited to its scopes."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, insert, select, update

from devices.contract.payload import new_id
from hub.store import audit
from hub.store.store import Store, now
from hub.store.tables import api_token

PREFIX = "kv_"
"""So that secret scanners recognise a leaked token."""
USED_EVERY = timedelta(minutes=1)
MAX_KNOWN = 1_000


@dataclass(frozen=True)
class Token:
    """A token without its secret, which is not stored."""

    id: str
    name: str
    scopes: tuple[str, ...]
    made_by: str
    made_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        return f"token:{self.name}"


class Tokens:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[bytes, None] = {}

    async def make(
        self,
        name: str,
        scopes: frozenset[str],
        actor: str,
        expires_at: datetime | None = None,
        parent: str | None = None,
    ) -> tuple[Token, str]:
        """Create a token. Returns it with its secret, of which only the hash is stored.

        `parent`: the id of the token that creates it; the new one expires and is revoked with it.
        Raises LookupError if the parent has ended.
        """
        if parent is not None:
            maker = await self.get(parent)
            if maker is None:
                raise LookupError(parent)
            expires_at = min((at for at in (expires_at, maker.expires_at) if at is not None), default=None)
        secret = PREFIX + secrets.token_urlsafe(32)
        token = Token(new_id(), name, tuple(sorted(scopes)), actor, now(), expires_at, None)
        row = {
            "id": token.id,
            "name": name,
            "secret_hash": _digest(secret),
            "scopes": list(token.scopes),
            "made_by": actor,
            "made_at": token.made_at,
            "expires_at": expires_at,
            "parent": parent,
        }

        def write(connection: Connection) -> None:
            connection.execute(insert(api_token), row)
            audit.record(connection, actor, "token.made", token.id, {"name": name, "scopes": list(token.scopes)})

        await self._store.write(write)
        return token, secret

    async def verify(self, secret: str) -> Token | None:
        """The token of this secret, unless it is revoked or has expired; its use is recorded once a minute."""
        digest, at = _digest(secret), now()
        row = await self._store.read(
            lambda connection: connection.execute(select(api_token).where(api_token.c.secret_hash == digest)).first()
        )
        if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= at):
            self._known.pop(digest, None)
            return None
        self._known[digest] = None
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        if row.last_used_at is None or at - row.last_used_at > USED_EVERY:
            await self._store.write(
                lambda connection: connection.execute(
                    update(api_token).where(api_token.c.id == row.id).values(last_used_at=at)
                )
            )
        return _token(row)

    def is_known(self, secret: str) -> bool:
        """Whether it was valid when last verified, without reading the store."""
        return _digest(secret) in self._known

    async def all(self) -> list[Token]:
        """Tokens that are not revoked, including expired ones; the newest first."""
        query = select(api_token).where(api_token.c.revoked_at.is_(None)).order_by(api_token.c.made_at.desc())
        return await self._store.read(lambda connection: [_token(row) for row in connection.execute(query)])

    async def get(self, token_id: str) -> Token | None:
        return next((token for token in await self.all() if token.id == token_id), None)

    async def revoke(self, token_id: str, actor: str) -> bool:
        """Revoke a token and those created with it; False if there is no such token."""
        return await self._store.write(lambda connection: _revoke(connection, token_id, actor))


def revoke_those_of(connection: Connection, account: str, actor: str) -> list[str]:
    """Revoke the tokens of an account, and those created with them. Returns the names."""
    verify = (api_token.c.made_by == account) & api_token.c.revoked_at.is_(None)
    rows = connection.execute(select(api_token.c.id, api_token.c.name).where(verify)).all()
    for row in rows:
        _revoke(connection, row.id, actor)
    return sorted(row.name for row in rows)


def _revoke(connection: Connection, token_id: str, actor: str) -> bool:
    verify = (api_token.c.id == token_id) & api_token.c.revoked_at.is_(None)
    at = now()
    if not connection.execute(update(api_token).where(verify).values(revoked_at=at)).rowcount:
        return False
    audit.record(connection, actor, "token.revoked", token_id)
    ended = [token_id]
    while ended:
        below = api_token.c.parent.in_(ended) & api_token.c.revoked_at.is_(None)
        ended = list(connection.execute(select(api_token.c.id).where(below)).scalars())
        connection.execute(update(api_token).where(api_token.c.id.in_(ended)).values(revoked_at=at))
        for child in ended:
            audit.record(connection, actor, "token.revoked", child, {"with": token_id})
    return True


def _digest(secret: str) -> bytes:
    """A plain hash is enough for 256 random bits."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()


def _token(row: Row[tuple[object, ...]]) -> Token:
    return Token(row.id, row.name, tuple(row.scopes), row.made_by, row.made_at, row.expires_at, row.last_used_at)
