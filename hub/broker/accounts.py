"""Accounts of a broker, whatever the broker: three verbs, `put`, `remove`, `all`.

Here for Mosquitto's password and ACL files; `hub.broker.dynamic_security` has them for a Mosquitto elsewhere.
"""

import asyncio
import hashlib
import os
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

HASH_ROUNDS = 101
"""Mosquitto's own; our secrets are 256 random bits, so more would only slow the broker."""


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """Who may connect, with a client id of the same name, and which topics they may write and read."""

    name: str
    secret_hash: str = field(repr=False)
    writes: tuple[str, ...]
    reads: tuple[str, ...]

    @property
    def mark(self) -> str:
        """Changes when anything does: a broker that keeps it tells whether it knows the account as it is now."""
        whole = "\n".join((self.name, self.secret_hash, *self.writes, "", *self.reads))
        return hashlib.sha256(whole.encode()).hexdigest()[:32]


class BrokerAccounts(Protocol):
    """The accounts that a broker knows, but for the hub's own.

    `needs_secrets`: the broker takes no hash, so the secret itself must be at hand when an account is put.
    Whatever is put or removed has taken effect when the call returns; an account that is removed or has another
    secret is cut at once. All raise BrokerAwayError or BrokerRefusedError.
    """

    needs_secrets: bool

    async def put(self, accounts: Sequence[BrokerAccount], secrets: dict[str, str]) -> None:
        """Add them, or replace those of the same name. `secrets` has the name's secret where one is needed."""

    async def remove(self, names: Sequence[str]) -> None:
        """Those that are not there are gone enough."""

    async def all(self) -> dict[str, str]:
        """Name and mark of each account that we have put."""

    async def foreign(self, names: Sequence[str]) -> set[str]:
        """Those of the names that are accounts which somebody else has made: they are neither put nor removed."""


class BrokerAwayError(Exception):
    """The broker does not answer now; ask again when it is back."""


class BrokerRefusedError(Exception):
    """The broker does not do what was asked; the text has its reason."""


class AccountFiles:
    """`passwords` and `acl` in a folder, each replaced whole; `changed` tells the broker to read them again."""

    needs_secrets = False

    def __init__(self, folder: Path, hub_account: str, hub_hash: str, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._hub = BrokerAccount(hub_account, hub_hash, ("#",), ("#", "$SYS/#"))
        self._changed = changed
        self._accounts: dict[str, BrokerAccount] = {}
        self._turn = asyncio.Lock()

    async def put(self, accounts: Sequence[BrokerAccount], secrets: dict[str, str]) -> None:
        del secrets
        await self._replace(self._accounts | {account.name: account for account in accounts})

    async def remove(self, names: Sequence[str]) -> None:
        await self._replace({name: account for name, account in self._accounts.items() if name not in names})

    async def foreign(self, names: Sequence[str]) -> set[str]:
        """None: the files are ours alone."""
        del names
        return set()

    async def all(self) -> dict[str, str]:
        return {name: account.mark for name, account in self._accounts.items()}

    async def _replace(self, accounts: dict[str, BrokerAccount]) -> None:
        self._accounts = accounts
        async with self._turn:
            await asyncio.to_thread(write_accounts, self._folder, [self._hub, *self._accounts.values()])
        self._changed()


def write_accounts(folder: Path, accounts: Iterable[BrokerAccount]) -> None:
    """Mosquitto's two files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    passwords, acl = [], []
    for account in accounts:
        passwords.append(f"{account.name}:{account.secret_hash}")
        acl += [f"user {account.name}"]
        both = set(account.writes) & set(account.reads)
        acl += [f"topic readwrite {one}" for one in account.writes if one in both]
        acl += [f"topic write {one}" for one in account.writes if one not in both]
        acl += [f"topic read {one}" for one in account.reads if one not in both]
        acl.append("")
    for name, lines in (("passwords", passwords), ("acl", acl)):
        fresh = folder / f"{name}.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
        fresh.replace(folder / name)


def mosquitto_hash(secret: str) -> str:
    """The form of `mosquitto_passwd`: PBKDF2-HMAC-SHA512, salt and hash in Base64."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, HASH_ROUNDS)
    return f"$7${HASH_ROUNDS}${b64encode(salt).decode()}${b64encode(digest).decode()}"
