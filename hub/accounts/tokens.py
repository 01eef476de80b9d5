"""Tokens: what programs log in with. Each has scopes, and nothing beyond them."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, insert, select, update

from devices.contract.payload import new_id
from hub.store import audit
from hub.store.store import Store, now
from hub.store.tables import api_token

BEGINS = "kv_"
"""So that a token that has leaked somewhere is found by those who look for such things."""
USED_EVERY = timedelta(minutes=1)
MOST_FAMILIAR = 1_000


@dataclass(frozen=True)
class Token:
    """A token as it is shown; the secret itself is known only to whoever got it."""

    id: str
    name: str
    scopes: tuple[str, ...]
    made_by: str
    made_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @property
    def actor(self) -> str:
        """As it stands in the audit log."""
        return f"token:{self.name}"


class Tokens:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._familiar: dict[bytes, None] = {}

    async def make(
        self,
        name: str,
        scopes: frozenset[str],
        actor: str,
        expires_at: datetime | None = None,
        parent: str | None = None,
    ) -> tuple[Token, str]:
        """The token and its secret, which is known only now: the store keeps its hash.

        `parent` is the id of the token that makes it: it lives no longer than that one, and ends with it.
        Raises LookupError when that one has ended.
        """
        if parent is not None:
            maker = await self.get(parent)
            if maker is None:
                raise LookupError(parent)
            expires_at = min((at for at in (expires_at, maker.expires_at) if at is not None), default=None)
        secret = BEGINS + secrets.token_urlsafe(32)
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

    async def living(self, secret: str) -> Token | None:
        """The token of this secret, unless it is revoked or has expired; its use is noted once a minute."""
        digest, at = _digest(secret), now()
        row = await self._store.read(
            lambda connection: connection.execute(select(api_token).where(api_token.c.secret_hash == digest)).first()
        )
        if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= at):
            self._familiar.pop(digest, None)
            return None
        self._familiar[digest] = None
        if len(self._familiar) > MOST_FAMILIAR:
            del self._familiar[next(iter(self._familiar))]
        if row.last_used_at is None or at - row.last_used_at > USED_EVERY:
            await self._store.write(
                lambda connection: connection.execute(
                    update(api_token).where(api_token.c.id == row.id).values(last_used_at=at)
                )
            )
        return _token(row)

    def is_familiar(self, secret: str) -> bool:
        """Whether it was a token of ours when it was last seen, without asking the store."""
        return _digest(secret) in self._familiar

    async def all(self) -> list[Token]:
        """Those that are not revoked, also when they have expired; the newest first."""
        query = select(api_token).where(api_token.c.revoked_at.is_(None)).order_by(api_token.c.made_at.desc())
        return await self._store.read(lambda connection: [_token(row) for row in connection.execute(query)])

    async def get(self, token_id: str) -> Token | None:
        return next((token for token in await self.all() if token.id == token_id), None)

    async def revoke(self, token_id: str, actor: str) -> bool:
        """False when there is no such token. From now on it opens nothing, nor does what was made with it."""
        return await self._store.write(lambda connection: _revoke(connection, token_id, actor))


def revoke_those_of(connection: Connection, account: str, actor: str) -> list[str]:
    """The names of the tokens that an account has made; they, and what was made with them, open nothing any more."""
    living = (api_token.c.made_by == account) & api_token.c.revoked_at.is_(None)
    rows = connection.execute(select(api_token.c.id, api_token.c.name).where(living)).all()
    for row in rows:
        _revoke(connection, row.id, actor)
    return sorted(row.name for row in rows)


def _revoke(connection: Connection, token_id: str, actor: str) -> bool:
    living = (api_token.c.id == token_id) & api_token.c.revoked_at.is_(None)
    at = now()
    if not connection.execute(update(api_token).where(living).values(revoked_at=at)).rowcount:
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
    """Enough for 256 random bits."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()


def _token(row: Row[tuple[object, ...]]) -> Token:
    return Token(row.id, row.name, tuple(row.scopes), row.made_by, row.made_at, row.expires_at, row.last_used_at)
