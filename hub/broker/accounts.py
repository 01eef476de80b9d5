"""Accounts of a broker: the interface, and the implementation for Mosquitto's password and ACL files.

`hub.broker.dynamic_security` implements it for a Mosquitto elsewhere.
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
"""Mosquitto's default; our secrets are 256 random bits, so more would only slow the broker."""


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """An account, with a client id of the same name, and the topic filters it may write and read."""

    name: str
    secret_hash: str = field(repr=False)
    writes: tuple[str, ...]
    reads: tuple[str, ...]

    @property
    def mark(self) -> str:
        """A hash of the account: stored in the broker, it tells whether the broker's account is up to date."""
        text = "\n".join((self.name, self.secret_hash, *self.writes, "", *self.reads))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class BrokerAccounts(Protocol):
    """The accounts in a broker, except the hub's own.

    `needs_secrets`: the broker takes no hashes, so `put` needs the secrets themselves.
    Changes have taken effect when a call returns; a client whose account was removed or has a new secret is
    disconnected. All methods raise BrokerAwayError or BrokerRefusedError.
    """

    needs_secrets: bool

    async def put(self, accounts: Sequence[BrokerAccount], secrets: dict[str, str]) -> None:
        """Add them, or replace those of the same name. `secrets`: by name, where needed."""

    async def remove(self, names: Sequence[str]) -> None:
        """Remove accounts; unknown names are ignored."""

    async def all(self) -> dict[str, str]:
        """Name → mark of each account that we have put."""

    async def foreign(self, names: Sequence[str]) -> set[str]:
        """Those of the names whose accounts are not ours; these are neither put nor removed."""


class BrokerAwayError(Exception):
    """The broker does not answer; retry when it is back."""


class BrokerRefusedError(Exception):
    """The broker refused a command; the text has its reason."""


class AccountFiles:
    """The files `passwords` and `acl` in a folder, replaced atomically; `reload` makes the broker read them."""

    needs_secrets = False

    def __init__(self, folder: Path, hub_account: str, hub_hash: str, reload: Callable[[], None]) -> None:
        self._folder = folder
        self._hub = BrokerAccount(hub_account, hub_hash, ("#",), ("#", "$SYS/#"))
        self._reload = reload
        self._accounts: dict[str, BrokerAccount] = {}
        self._lock = asyncio.Lock()

    async def put(self, accounts: Sequence[BrokerAccount], secrets: dict[str, str]) -> None:
        del secrets
        await self._replace(self._accounts | {account.name: account for account in accounts})

    async def remove(self, names: Sequence[str]) -> None:
        await self._replace({name: account for name, account in self._accounts.items() if name not in names})

    async def foreign(self, names: Sequence[str]) -> set[str]:
        """Always empty: the files are ours."""
        del names
        return set()

    async def all(self) -> dict[str, str]:
        return {name: account.mark for name, account in self._accounts.items()}

    async def _replace(self, accounts: dict[str, BrokerAccount]) -> None:
        self._accounts = accounts
        async with self._lock:
            await asyncio.to_thread(write_accounts, self._folder, [self._hub, *self._accounts.values()])
        self._reload()


def write_accounts(folder: Path, accounts: Iterable[BrokerAccount]) -> None:
    """Write Mosquitto's password and ACL files. Raises OSError."""
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
        temporary = folder / f"{name}.new"
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
        temporary.replace(folder / name)


def mosquitto_hash(secret: str) -> str:
    """A hash in the format of `mosquitto_passwd`: PBKDF2-HMAC-SHA512, salt and hash in Base64."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, HASH_ROUNDS)
    return f"$7${HASH_ROUNDS}${b64encode(salt).decode()}${b64encode(digest).decode()}"
