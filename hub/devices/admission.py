"""Accounts of devices and gateways: in the store, and synchronised to the broker.

The store is authoritative. A broker that was away is synchronised when it is back; changes by another program (the
command line) are noticed within a second.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

import structlog
from sqlalchemy import Connection, delete, insert, select, update

from devices.contract.topics import branch
from hub.broker.accounts import BrokerAccount, BrokerAccounts, BrokerAwayError, BrokerRefusedError, mosquitto_hash
from hub.devices import gateways as gateway_rows
from hub.devices.gateways import Gateways
from hub.devices.registry import Device, Devices, NewDevice
from hub.store.store import Store
from hub.store.tables import revision, waiting_secret

log = structlog.get_logger("admission")

SUBJECT = "accounts"
POLL_SECONDS = 1.0
BROKER_ERRORS = (BrokerAwayError, BrokerRefusedError, OSError)


class TakenNameError(ValueError):
    """Something else has an account of this name."""


class UnknownGatewayError(LookupError):
    """There is no gateway of this name."""


class Admission:
    """`broker` is None in a command: the running hub updates the broker, now or when it starts."""

    def __init__(
        self, store: Store, devices: Devices, gateways: Gateways, root: str, site: str, hub_account: str
    ) -> None:
        self.broker: BrokerAccounts | None = None
        self.problem: str | None = None
        self.missing_accounts: frozenset[str] = frozenset()
        """Accounts that the broker lacks and that cannot be restored, since only the secret's hash is stored."""
        self.needs_secrets = False
        self._store = store
        self._devices = devices
        self._gateways = gateways
        self._root = root
        self._site = site
        self._reserved = {hub_account, "hub"}
        self._seen_revision = 0
        self._sync_requested = asyncio.Event()
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        self._seen_revision = await self._store.read(_revision)
        await self._devices.load()
        await self._gateways.load()

    # -- accounts

    async def enrol(self, wanted: Sequence[NewDevice], actor: str) -> dict[str, str]:
        """Add devices, or replace their secrets. Returns the secrets, which are not stored in clear.

        Raises TakenNameError, or pydantic.ValidationError for an id or kind that could not be part of a topic.
        """
        for one in wanted:
            one.check()
            if one.id in self._reserved or self._gateways.get(one.id):
                raise TakenNameError(f"{one.id} is the name of another account on the broker")
        await self._refuse_foreign([one.id for one in wanted])
        new_secrets = {one.id: secrets.token_urlsafe(32) for one in wanted}
        hashes = {name: mosquitto_hash(secret) for name, secret in new_secrets.items()}

        def write(connection: Connection) -> int:
            self._devices.save(connection, wanted, hashes, actor)
            return self._bump_revision(connection, new_secrets)

        await self._write(write)
        await self._devices.load()
        await self._update_broker(put=list(new_secrets), secrets=new_secrets)
        self._devices.forget_vitals(new_secrets)
        return new_secrets

    async def revoke(self, device: str, actor: str) -> None:
        """Remove the account and disconnect the device. Raises UnknownDeviceError."""
        self._devices.require(device)

        def write(connection: Connection) -> int:
            self._devices.remove(connection, device, actor)
            return self._bump_revision(connection, {})

        await self._write(write)
        await self._devices.load()
        await self._update_broker(remove=[device])
        self._devices.forget_vitals([device])

    async def add_gateway(
        self, name: str, filters: Sequence[str], actor: str, *, announces: bool = True, may_order: bool = False
    ) -> str:
        """Add a gateway, or replace one of the same name. Returns its secret, which is not stored in clear.

        `may_order`: its filters may reach the topics by which Home Assistant sends orders to our devices.

        Raises TakenNameError, FilterError, or pydantic.ValidationError for the name.
        """
        if name in self._reserved or self._devices.get(name):
            raise TakenNameError(f"{name} is the name of another account on the broker")
        secret = secrets.token_urlsafe(24)
        gateway = self._gateways.validated(
            name, filters, mosquitto_hash(secret), announces=announces, may_order=may_order
        )
        await self._refuse_foreign([name])

        def write(connection: Connection) -> int:
            gateway_rows.put(connection, gateway, actor)
            return self._bump_revision(connection, {name: secret})

        await self._write(write)
        await self._gateways.load()
        await self._update_broker(put=[name], secrets={name: secret})
        return secret

    async def remove_gateway(self, name: str, actor: str) -> None:
        """Remove the account and disconnect the gateway. Raises UnknownGatewayError."""
        if self._gateways.get(name) is None:
            raise UnknownGatewayError(name)

        def write(connection: Connection) -> int:
            gateway_rows.remove(connection, name, actor)
            return self._bump_revision(connection, {})

        await self._write(write)
        await self._gateways.load()
        await self._update_broker(remove=[name])

    async def bump_revision(self) -> None:
        """Have the running hub reload everything: plugins have added to the change."""
        await self._write(lambda connection: self._bump_revision(connection, {}))

    # -- the broker

    async def _refuse_foreign(self, names: Sequence[str]) -> None:
        """Raises TakenNameError for accounts that are not ours.

        A broker that is away is not asked; it will refuse them.
        """
        if self.broker is None:
            return
        with suppress(*BROKER_ERRORS):
            if foreign := await self.broker.foreign(names):
                raise TakenNameError(f"{', '.join(sorted(foreign))}: the broker has an account of this name already")

    def request_sync(self) -> None:
        """Synchronise soon: the broker has reconnected."""
        self._sync_requested.set()

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Synchronise on request and after another program's changes, then call `changed`. Runs until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._sync_requested.wait()
            revision_number = await self._store.read(_revision)
            has_changed = revision_number != self._seen_revision
            if has_changed:
                await self.load()
                await changed()
            if has_changed or self._sync_requested.is_set():
                self._sync_requested.clear()
                await self.sync()

    async def sync(self) -> None:
        """Make the broker's accounts those of the store. On failure, sets `problem` and retries later."""
        if self.broker is None:
            return
        async with self._lock:
            try:
                await self._reconcile(self.broker)
                self.problem = None
            except BROKER_ERRORS as error:
                self.problem = str(error)
                log.warning("accounts_out_of_sync", problem=self.problem)
                asyncio.get_running_loop().call_later(POLL_SECONDS * 5, self._sync_requested.set)

    async def _reconcile(self, broker: BrokerAccounts) -> None:
        known = await broker.all()
        wanted = {account.name: account for account in self.accounts()}
        if obsolete := [name for name in known if name not in wanted]:
            await broker.remove(obsolete)
        missing = [account for account in wanted.values() if known.get(account.name) != account.mark]
        waiting_secrets = await self._store.read(_read_waiting_secrets) if broker.needs_secrets else {}
        restorable = [one for one in missing if not broker.needs_secrets or one.name in waiting_secrets]
        if restorable:
            await broker.put(restorable, waiting_secrets)
            restored = {account.name for account in restorable}
            await self._delete_waiting_secrets(
                {name: secret for name, secret in waiting_secrets.items() if name in restored}
            )
        self.missing_accounts = frozenset(one.name for one in missing) - {one.name for one in restorable}
        if self.missing_accounts:
            log.warning("broker_accounts_missing", accounts=sorted(self.missing_accounts))

    async def _update_broker(
        self, *, put: Iterable[str] = (), remove: Sequence[str] = (), secrets: dict[str, str] | None = None
    ) -> None:
        if self.broker is None:
            return
        try:
            async with self._lock:
                if remove:
                    await self.broker.remove(remove)
                names = set(put)
                if accounts := [account for account in self.accounts() if account.name in names]:
                    await self.broker.put(accounts, secrets or {})
                    self.missing_accounts -= names
            if secrets and self.broker.needs_secrets:
                await self._delete_waiting_secrets(secrets)
        except BROKER_ERRORS as error:
            self.problem = str(error)
            log.warning("broker_update_failed", problem=self.problem)
            self._sync_requested.set()

    def accounts(self) -> Iterable[BrokerAccount]:
        """The accounts that the broker should have."""
        yield from (account_of(device, self._root, self._site) for device in self._devices)
        yield from (gateway.account for gateway in self._gateways)

    # -- the store

    async def _write(self, write: Callable[[Connection], int]) -> None:
        """Write, and remember the revision, so that our own change is not taken for another program's."""
        revision_number = await self._store.write(write)
        if revision_number == self._seen_revision + 1:
            self._seen_revision = revision_number

    def _bump_revision(self, connection: Connection, new_secrets: dict[str, str]) -> int:
        if self.needs_secrets and new_secrets:
            connection.execute(delete(waiting_secret).where(waiting_secret.c.name.in_(new_secrets)))
            rows = [{"name": name, "secret": secret} for name, secret in new_secrets.items()]
            connection.execute(insert(waiting_secret), rows)
        row = revision.c.subject == SUBJECT
        if connection.execute(update(revision).where(row).values(number=revision.c.number + 1)).rowcount == 0:
            connection.execute(insert(revision), {"subject": SUBJECT, "number": 1})
        return _revision(connection)

    async def _delete_waiting_secrets(self, delivered: dict[str, str]) -> None:
        """The broker has these secrets now; the store keeps only hashes."""

        def write(connection: Connection) -> None:
            for name, secret in delivered.items():
                row = (waiting_secret.c.name == name) & (waiting_secret.c.secret == secret)
                connection.execute(delete(waiting_secret).where(row))

        await self._store.write(write)


def account_of(device: Device, root: str, site: str) -> BrokerAccount:
    topics = branch(root, site, device.kind, device.id)
    return BrokerAccount(device.id, device.secret_hash, (f"{topics}/up/#",), (f"{topics}/down/#",))


def _revision(connection: Connection) -> int:
    return connection.execute(select(revision.c.number).where(revision.c.subject == SUBJECT)).scalar() or 0


def _read_waiting_secrets(connection: Connection) -> dict[str, str]:
    return {row.name: row.secret for row in connection.execute(select(waiting_secret))}
