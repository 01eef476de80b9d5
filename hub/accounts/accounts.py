"""Logins for the console: local accounts (argon2id), a directory's accounts (hook `authenticate`), sessions."""

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

MIN_PASSWORD_LENGTH = 10
MAX_IDLE = timedelta(minutes=30)
MAX_AGE = timedelta(hours=12)
CONFIRMED_FOR = timedelta(minutes=15)
CLOCK_SLACK = timedelta(minutes=1)
"""How far a clock may be set back without the password being required again."""
SEEN_EVERY = timedelta(minutes=1)
SEEN_SECONDS = 0.5
MAX_CACHED = 1000
CONCURRENT_HASHES = 2
"""argon2id takes 19 MiB and 40 ms each: a flood of logins must not exhaust the machine."""

ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Session:
    account: str
    roles: frozenset[Role]
    source: str
    id: bytes = field(default=b"", repr=False)
    confirmed_at: datetime | None = None
    """When the password was last entered."""

    @property
    def is_confirmed(self) -> bool:
        """Whether the password was entered recently, by the present clock; sensitive actions require it."""
        return self.confirmed_at is not None and -CLOCK_SLACK < now() - self.confirmed_at < CONFIRMED_FOR

    def may(self, roles: frozenset[Role]) -> bool:
        return not roles or bool(self.roles & roles)


HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


@cache
def _dummy_hash() -> str:
    """Passwords for unknown names are verified against it, so that they take the same time."""
    return HASHER.hash(secrets.token_hex())


class WeakPasswordError(ValueError):
    """The password is too short."""


class UnknownAccountError(LookupError):
    """There is no such account."""


class LastAccountError(ValueError):
    """It is the last active local account with the role it."""


@dataclass(frozen=True)
class Account:
    """A local account."""

    name: str
    roles: tuple[str, ...]
    made_at: datetime
    is_shut: bool


class Accounts:
    def __init__(self, store: Store, hooks: Hooks) -> None:
        self._store = store
        self._hooks = hooks
        self._hash_slots = asyncio.Semaphore(CONCURRENT_HASHES)
        self._dummy = _dummy_hash()
        self._last_seen: dict[bytes, Any] = {}
        self._used_at: dict[bytes, float] = {}
        """Session → when it was last used, by the monotonic clock, so that setting the clock forward ends none."""

    async def put(self, name: str, password: str, roles: frozenset[Role], actor: str) -> None:
        """Create a local account, or replace its password and roles. Raises WeakPasswordError."""
        if len(password) < MIN_PASSWORD_LENGTH:
            raise WeakPasswordError(f"a password has at least {MIN_PASSWORD_LENGTH} characters")
        digest = await self._limited(HASHER.hash, password)
        row = {"name": name, "password_hash": digest, "roles": sorted(roles), "made_at": now()}

        def write(connection: Connection) -> None:
            connection.execute(delete(account_table).where(account_table.c.name == name))
            connection.execute(insert(account_table), row)
            connection.execute(delete(session_table).where(session_table.c.account == name))
            audit.record(connection, actor, "account.put", name, {"roles": sorted(roles)})

        await self._store.write(write)

    async def remove(self, name: str, actor: str) -> list[str]:
        """Remove the account and its sessions, and revoke the tokens it has made. Returns the tokens' names.

        Raises UnknownAccountError or LastAccountError.
        """

        def write(connection: Connection) -> list[str]:
            _require_other_admin(connection, name)
            connection.execute(delete(account_table).where(account_table.c.name == name))
            connection.execute(delete(session_table).where(session_table.c.account == name))
            tokens = revoke_those_of(connection, name, actor)
            audit.record(connection, actor, "account.removed", name, {"tokens": tokens})
            return tokens

        return await self._store.write(write)

    async def shut(self, name: str, actor: str, *, is_shut: bool) -> None:
        """Disable the account and end its sessions, or enable it again.

        Raises UnknownAccountError or LastAccountError.
        """

        def write(connection: Connection) -> None:
            if is_shut:
                _require_other_admin(connection, name)
                connection.execute(delete(session_table).where(session_table.c.account == name))
            changed = update(account_table).where(account_table.c.name == name).values(is_shut=is_shut)
            if not connection.execute(changed).rowcount:
                raise UnknownAccountError(name)
            audit.record(connection, actor, "account.shut" if is_shut else "account.opened", name)

        await self._store.write(write)

    async def all(self) -> list[Account]:
        """All local accounts, by name."""
        query = select(account_table).order_by(account_table.c.name)
        return await self._store.read(
            lambda connection: [
                Account(row.name, tuple(row.roles), row.made_at, is_shut=row.is_shut)
                for row in connection.execute(query)
            ]
        )

    async def any_exist(self) -> bool:
        return await self._store.read(
            lambda connection: connection.execute(select(account_table.c.name)).first() is not None
        )

    async def check(self, name: str, password: str) -> Login | None:
        """The login, or None. Takes the same time for a name that does not exist."""
        if not password:
            return None  # RFC 4513 § 5.1.2: a directory treats an empty password as an anonymous bind
        row = await self._store.read(
            lambda connection: connection.execute(select(account_table).where(account_table.c.name == name)).first()
        )
        matches = await self._limited(self._verify, row.password_hash if row else self._dummy, password)
        if row is not None:
            return Login(name, frozenset(row.roles), "local") if matches and not row.is_shut else None
        return await self._hooks.first(authenticate, name=name, password=password)

    # -- sessions

    async def begin(self, login: Login) -> str:
        """Start a session. Returns its secret, for a cookie; only its hash is stored."""
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
            connection.execute(delete(session_table).where(~self._is_recently_used(now())))
            connection.execute(insert(session_table), row)
            audit.record(connection, login.name, "session.began", login.source)

        await self._store.write(write)
        self._note_use(_digest(token))
        return token

    async def session(self, token: str) -> Session | None:
        """The active session, whose idle time starts again; None if it has ended."""
        digest, at = _digest(token), now()
        row = await self._session_row(digest)
        if row is None or self._idle(row, at) > MAX_IDLE or at - row.began_at > MAX_AGE:
            return None
        self._note_use(digest)
        if abs(at - row.seen_at) > SEEN_EVERY and self._store.problem is None:
            with suppress(TimeoutError):  # it is still written, but no page waits for it
                async with asyncio.timeout(SEEN_SECONDS):
                    await self._store.write(
                        lambda connection: connection.execute(
                            update(session_table).where(session_table.c.id == digest).values(seen_at=at)
                        )
                    )
        return Session(row.account, frozenset(cast("list[Role]", row.roles)), row.source, row.id, row.confirmed_at)

    def _note_use(self, digest: bytes) -> None:
        self._used_at[digest] = time.monotonic()
        if len(self._used_at) > MAX_CACHED:
            self._used_at = {digest: self._used_at[digest] for digest in self._recently_used()}

    def _idle(self, row: Any, at: datetime) -> timedelta:
        """Time since its last use; by the wall clock if that was before this start."""
        used_at = self._used_at.get(row.id)
        return at - row.seen_at if used_at is None else timedelta(seconds=time.monotonic() - used_at)

    def _recently_used(self) -> list[bytes]:
        oldest = time.monotonic() - MAX_IDLE.total_seconds()
        return [digest for digest, used_at in self._used_at.items() if used_at >= oldest]

    def _is_recently_used(self, at: datetime) -> ColumnElement[bool]:
        return (session_table.c.seen_at >= at - MAX_IDLE) | session_table.c.id.in_(self._recently_used())

    async def _session_row(self, digest: bytes) -> Any:
        """The stored session; while the store is away as it was last read, so that pages still work."""
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
            if len(self._last_seen) > MAX_CACHED:
                del self._last_seen[next(iter(self._last_seen))]
        return row

    async def confirm(self, session: Session, password: str) -> bool:
        """Verify the account's password again; if it is right, the session is confirmed."""
        login = await self.check(session.account, password)
        if login is None or login.name != session.account:
            return False
        sessions = session_table.c.id == session.id
        await self._store.write(
            lambda connection: connection.execute(update(session_table).where(sessions).values(confirmed_at=now()))
        )
        return True

    async def is_active(self, session: Session) -> bool:
        """Whether the session has not ended. Does not count as a use."""
        query = select(session_table.c.began_at).where(session_table.c.id == session.id)
        began_at = await self._store.read(lambda connection: connection.execute(query).scalar())
        return began_at is not None and now() - began_at <= MAX_AGE

    async def logged_in(self) -> list[Row[Any]]:
        """The active sessions (account, roles, source, began_at, seen_at), the newest first."""
        at = now()
        active = self._is_recently_used(at) & (session_table.c.began_at > at - MAX_AGE)
        query = select(session_table).where(active).order_by(session_table.c.began_at.desc())
        return await self._store.read(lambda connection: list(connection.execute(query)))

    async def end_all(self, name: str, actor: str) -> None:
        """End all sessions of `name`."""

        def write(connection: Connection) -> None:
            connection.execute(delete(session_table).where(session_table.c.account == name))
            audit.record(connection, actor, "session.ended", name)

        await self._store.write(write)

    async def refresh_roles(self) -> None:
        """Update the roles of sessions authenticated by a plugin; a session without roles ends.

        If the plugin does not answer, the session stays as it is.
        """
        for name, roles in {(row.account, tuple(row.roles)) for row in await self.logged_in() if row.source != "local"}:
            login = await self._hooks.first(login_now, name=name)
            if login is None or login.roles == frozenset(roles):
                continue
            await self._store.write(partial(_set_roles, name=name, roles=sorted(login.roles)))

    async def end(self, token: str) -> None:
        self._last_seen.pop(_digest(token), None)
        self._used_at.pop(_digest(token), None)
        await self._store.write(
            lambda connection: connection.execute(delete(session_table).where(session_table.c.id == _digest(token)))
        )

    async def _limited(self, work: Callable[[Unpack[Ts]], R], *arguments: *Ts) -> R:
        async with self._hash_slots:
            return await asyncio.to_thread(work, *arguments)

    def _verify(self, digest: str, password: str) -> bool:
        try:
            return HASHER.verify(digest, password)
        except (VerificationError, InvalidHashError):
            return False


def _require_other_admin(connection: Connection, name: str) -> None:
    """Raises UnknownAccountError, or LastAccountError if there is no other active account with the role it."""
    rows = {row.name: row for row in connection.execute(select(account_table))}
    if name not in rows:
        raise UnknownAccountError(name)
    others = [row for row in rows.values() if row.name != name and "it" in row.roles and not row.is_shut]
    if "it" in rows[name].roles and not others:
        raise LastAccountError("this is the last account with the role it; make another one first")


def _set_roles(connection: Connection, name: str, roles: list[str]) -> None:
    sessions = (session_table.c.account == name) & (session_table.c.source != "local")
    if roles:
        connection.execute(update(session_table).where(sessions).values(roles=roles))
    else:
        connection.execute(delete(session_table).where(sessions))
    audit.record(connection, "hub", "session.roles" if roles else "session.ended", name, {"roles": roles})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
