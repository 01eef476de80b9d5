"""Who may use the console: local accounts (argon2id), a directory's accounts (hook `authenticate`), sessions."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from hub.accounts.tokens import revoke_those_of
from hub.hooks.asking import Hooks
from hub.hooks.specifications import Login, Role, authenticate, login_now
from hub.store import audit
from hub.store.store import Store, now
from hub.store.tables import account as account_table
from hub.store.tables import session as session_table
from hub.store.trouble import in_store

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

LEAST_PASSWORD = 10
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
CONFIRMED_FOR = timedelta(minutes=15)
CLOCK_SLACK = timedelta(minutes=1)
"""By so much a clock may be corrected without anybody being asked again."""
SEEN_EVERY = timedelta(minutes=1)
SEEN_SECONDS = 0.5
MOST_REMEMBERED = 1000
HASHES_AT_ONCE = 2
"""argon2id takes 19 MiB and 40 ms each: a flood of logins must not take the machine."""

ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Session:
    account: str
    roles: frozenset[Role]
    source: str
    id: bytes = field(default=b"", repr=False)
    confirmed_at: datetime | None = None
    """When the password was last given."""

    @property
    def is_confirmed(self) -> bool:
        """The password was given lately: enough for what lets somebody in. Not in a future that was taken back."""
        return self.confirmed_at is not None and -CLOCK_SLACK < now() - self.confirmed_at < CONFIRMED_FOR

    def may(self, roles: frozenset[Role]) -> bool:
        return not roles or bool(self.roles & roles)


HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


@cache
def _hash_of_nobody() -> str:
    """What a name that does not exist is checked against."""
    return HASHER.hash(secrets.token_hex())


class WeakPasswordError(ValueError):
    """Too short to be a password."""


class UnknownAccountError(LookupError):
    """There is no such account."""


class LastAccountError(ValueError):
    """Without it nobody of IT could log in with an account of the hub's own."""


@dataclass(frozen=True)
class Account:
    """An account of the hub's own."""

    name: str
    roles: tuple[str, ...]
    made_at: datetime
    is_shut: bool


class Accounts:
    def __init__(self, store: Store, hooks: Hooks) -> None:
        self._store = store
        self._hooks = hooks
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobody = _hash_of_nobody()
        self._last_seen: dict[bytes, Any] = {}
        self._used_at: dict[bytes, float] = {}
        """Session → when it was used last, by the monotonic clock: a clock that is set forward ends none."""

    async def put(self, name: str, password: str, roles: frozenset[Role], actor: str) -> None:
        """Make the local account, or give it a new password and roles. Raises WeakPasswordError."""
        if len(password) < LEAST_PASSWORD:
            raise WeakPasswordError(f"a password has at least {LEAST_PASSWORD} characters")
        digest = await self._in_turn(HASHER.hash, password)
        row = {"name": name, "password_hash": digest, "roles": sorted(roles), "made_at": now()}

        def write(connection: Connection) -> None:
            connection.execute(delete(account_table).where(account_table.c.name == name))
            connection.execute(insert(account_table), row)
            connection.execute(delete(session_table).where(session_table.c.account == name))
            audit.record(connection, actor, "account.put", name, {"roles": sorted(roles)})

        await self._store.write(write)

    async def remove(self, name: str, actor: str) -> list[str]:
        """The account, its sessions and the tokens that it has made are no more; those tokens' names.

        Raises UnknownAccountError or LastAccountError.
        """

        def write(connection: Connection) -> list[str]:
            _must_be_another(connection, name)
            connection.execute(delete(account_table).where(account_table.c.name == name))
            connection.execute(delete(session_table).where(session_table.c.account == name))
            tokens = revoke_those_of(connection, name, actor)
            audit.record(connection, actor, "account.removed", name, {"tokens": tokens})
            return tokens

        return await self._store.write(write)

    async def shut(self, name: str, actor: str, *, is_shut: bool) -> None:
        """Nobody can log in with it, and who has is logged out; or they can again.

        Raises UnknownAccountError or LastAccountError.
        """

        def write(connection: Connection) -> None:
            if is_shut:
                _must_be_another(connection, name)
                connection.execute(delete(session_table).where(session_table.c.account == name))
            changed = update(account_table).where(account_table.c.name == name).values(is_shut=is_shut)
            if not connection.execute(changed).rowcount:
                raise UnknownAccountError(name)
            audit.record(connection, actor, "account.shut" if is_shut else "account.opened", name)

        await self._store.write(write)

    async def all(self) -> list[Account]:
        """By name."""
        query = select(account_table).order_by(account_table.c.name)
        return await self._store.read(
            lambda connection: [
                Account(row.name, tuple(row.roles), row.made_at, is_shut=row.is_shut)
                for row in connection.execute(query)
            ]
        )

    async def exist(self) -> bool:
        return await self._store.read(
            lambda connection: connection.execute(select(account_table.c.name)).first() is not None
        )

    async def check(self, name: str, password: str) -> Login | None:
        """The login, or None. Takes the same time for a name that does not exist."""
        if not password:
            return None  # RFC 4513 § 5.1.2: a directory takes an empty password for an anonymous bind
        row = await self._store.read(
            lambda connection: connection.execute(select(account_table).where(account_table.c.name == name)).first()
        )
        matches = await self._in_turn(self._verify, row.password_hash if row else self._nobody, password)
        if row is not None:
            return Login(name, frozenset(row.roles), "local") if matches and not row.is_shut else None
        return await self._hooks.first(authenticate, name=name, password=password)

    # -- sessions

    async def begin(self, login: Login) -> str:
        """The session's secret, for a cookie; the store keeps only its hash."""
        token = secrets.token_urlsafe(32)
        row = {
            "id": _digest(token),
            "account": login.name,
            "roles": sorted(login.roles),
            "source": login.source,
            "began_at": now(),
            "seen_at": now(),
            "confirmed_at": now(),
        }

        def write(connection: Connection) -> None:
            connection.execute(delete(session_table).where(~self._is_used(now())))
            connection.execute(insert(session_table), row)
            audit.record(connection, login.name, "session.began", login.source)

        await self._store.write(write)
        self._note_use(_digest(token))
        return token

    async def session(self, token: str) -> Session | None:
        """The living session, which this use keeps alive."""
        digest, at = _digest(token), now()
        row = await self._session_row(digest)
        if row is None or self._idle(row, at) > IDLE or at - row.began_at > LONGEST:
            return None
        self._note_use(digest)
        if abs(at - row.seen_at) > SEEN_EVERY and self._store.problem is None:
            with suppress(TimeoutError):  # it is written all the same, and no page waits for it
                async with asyncio.timeout(SEEN_SECONDS):
                    await self._store.write(
                        lambda connection: connection.execute(
                            update(session_table).where(session_table.c.id == digest).values(seen_at=at)
                        )
                    )
        return Session(row.account, frozenset(cast("list[Role]", row.roles)), row.source, row.id, row.confirmed_at)

    def _note_use(self, digest: bytes) -> None:
        self._used_at[digest] = time.monotonic()
        if len(self._used_at) > MOST_REMEMBERED:
            self._used_at = {one: self._used_at[one] for one in self._lately_used()}

    def _idle(self, row: Any, at: datetime) -> timedelta:
        """Since its last use; by the clock on the wall where that was before our start."""
        used_at = self._used_at.get(row.id)
        return at - row.seen_at if used_at is None else timedelta(seconds=time.monotonic() - used_at)

    def _lately_used(self) -> list[bytes]:
        oldest = time.monotonic() - IDLE.total_seconds()
        return [one for one, used_at in self._used_at.items() if used_at >= oldest]

    def _is_used(self, at: datetime) -> ColumnElement[bool]:
        return (session_table.c.seen_at >= at - IDLE) | session_table.c.id.in_(self._lately_used())

    async def _session_row(self, digest: bytes) -> Any:
        """As it stands in the store; while that is away as it was last seen, so that pages can show what they know."""
        try:
            row = await self._store.read(
                lambda connection: connection.execute(select(session_table).where(session_table.c.id == digest)).first()
            )
        except Exception as error:
            if not in_store(error):
                raise
            return self._last_seen.get(digest)
        self._last_seen.pop(digest, None)
        if row is not None:
            self._last_seen[digest] = row
            if len(self._last_seen) > MOST_REMEMBERED:
                del self._last_seen[next(iter(self._last_seen))]
        return row

    async def confirm(self, session: Session, password: str) -> bool:
        """Whether it is this account's password; then the session is confirmed anew."""
        found = await self.check(session.account, password)
        if found is None or found.name != session.account:
            return False
        mine = session_table.c.id == session.id
        await self._store.write(
            lambda connection: connection.execute(update(session_table).where(mine).values(confirmed_at=now()))
        )
        return True

    async def stands(self, session: Session) -> bool:
        """Whether it has not been ended since. It is no use of it."""
        query = select(session_table.c.began_at).where(session_table.c.id == session.id)
        began_at = await self._store.read(lambda connection: connection.execute(query).scalar())
        return began_at is not None and now() - began_at <= LONGEST

    async def logged_in(self) -> list[Row[Any]]:
        """The living sessions (account, roles, source, began_at, seen_at), the newest first."""
        at = now()
        living = self._is_used(at) & (session_table.c.began_at > at - LONGEST)
        query = select(session_table).where(living).order_by(session_table.c.began_at.desc())
        return await self._store.read(lambda connection: list(connection.execute(query)))

    async def end_all(self, name: str, actor: str) -> None:
        """Whoever is logged in as `name` is so no more."""

        def write(connection: Connection) -> None:
            connection.execute(delete(session_table).where(session_table.c.account == name))
            audit.record(connection, actor, "session.ended", name)

        await self._store.write(write)

    async def follow(self) -> None:
        """Give the sessions of those who came by a plugin the roles that they have there now; none ends them.

        What the plugin cannot tell at present stays as it is.
        """
        for name, roles in {(row.account, tuple(row.roles)) for row in await self.logged_in() if row.source != "local"}:
            found = await self._hooks.first(login_now, name=name)
            if found is None or found.roles == frozenset(roles):
                continue
            await self._store.write(partial(_follow, name=name, roles=sorted(found.roles)))

    async def end(self, token: str) -> None:
        self._last_seen.pop(_digest(token), None)
        self._used_at.pop(_digest(token), None)
        await self._store.write(
            lambda connection: connection.execute(delete(session_table).where(session_table.c.id == _digest(token)))
        )

    async def _in_turn(self, work: Callable[[Unpack[Ts]], R], *arguments: *Ts) -> R:
        async with self._turns:
            return await asyncio.to_thread(work, *arguments)

    def _verify(self, digest: str, password: str) -> bool:
        try:
            return HASHER.verify(digest, password)
        except (VerificationError, InvalidHashError):
            return False


def _must_be_another(connection: Connection, name: str) -> None:
    """Raises UnknownAccountError, or LastAccountError where no other account of IT is left."""
    rows = {row.name: row for row in connection.execute(select(account_table))}
    if name not in rows:
        raise UnknownAccountError(name)
    left = [row for row in rows.values() if row.name != name and "it" in row.roles and not row.is_shut]
    if "it" in rows[name].roles and not left:
        raise LastAccountError("this is the last account with the role it; make another one first")


def _follow(connection: Connection, name: str, roles: list[str]) -> None:
    mine = (session_table.c.account == name) & (session_table.c.source != "local")
    if roles:
        connection.execute(update(session_table).where(mine).values(roles=roles))
    else:
        connection.execute(delete(session_table).where(mine))
    audit.record(connection, "hub", "session.roles" if roles else "session.ended", name, {"roles": roles})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
