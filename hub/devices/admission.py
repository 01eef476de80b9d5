"""Who may connect to the broker: devices and gateways in the store, their accounts in the broker, both kept alike.

The store is the truth. What a broker could not be told at once, it is told when it is back; what another program
(the command line) has changed in the store is noticed within a second.
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
LOOK_SECONDS = 1.0
TROUBLE = (BrokerAwayError, BrokerRefusedError, OSError)


class TakenNameError(ValueError):
    """Something else has an account of this name."""


class UnknownGatewayError(LookupError):
    """There is no gateway of this name."""


class Admission:
    """`broker` is None in a command: the hub that runs, now or later, tells the broker."""

    def __init__(
        self, store: Store, devices: Devices, gateways: Gateways, root: str, site: str, hub_account: str
    ) -> None:
        self.broker: BrokerAccounts | None = None
        self.problem: str | None = None
        self.unknown: frozenset[str] = frozenset()
        """Accounts that the broker does not have and that we cannot make again, for we have only the secret's hash."""
        self.needs_secrets = False
        self._store = store
        self._devices = devices
        self._gateways = gateways
        self._root = root
        self._site = site
        self._reserved = {hub_account, "hub"}
        self._seen = 0
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()

    async def load(self) -> None:
        self._seen = await self._store.read(_number)
        await self._devices.load()
        await self._gateways.load()

    # -- who is let in

    async def enrol(self, wanted: Sequence[NewDevice], actor: str) -> dict[str, str]:
        """Add devices, or give them new secrets: the old ones are dead then. The secrets, known only now.

        Raises TakenNameError, or pydantic.ValidationError for an id or kind that could not be part of a topic.
        """
        for one in wanted:
            one.check()
            if one.id in self._reserved or self._gateways.get(one.id):
                raise TakenNameError(f"{one.id} is the name of another account on the broker")
        await self._refuse_foreign([one.id for one in wanted])
        fresh = {one.id: secrets.token_urlsafe(32) for one in wanted}
        hashes = {name: mosquitto_hash(secret) for name, secret in fresh.items()}

        def write(connection: Connection) -> int:
            self._devices.put(connection, wanted, hashes, actor)
            return self._changed(connection, fresh)

        await self._write(write)
        await self._devices.load()
        await self._tell(put=list(fresh), secrets=fresh)
        self._devices.forget_vitals(fresh)
        return fresh

    async def revoke(self, device: str, actor: str) -> None:
        """Cut at once. Raises UnknownDeviceError."""
        self._devices.must(device)

        def write(connection: Connection) -> int:
            self._devices.remove(connection, device, actor)
            return self._changed(connection, {})

        await self._write(write)
        await self._devices.load()
        await self._tell(remove=[device])
        self._devices.forget_vitals([device])

    async def add_gateway(
        self, name: str, filters: Sequence[str], actor: str, *, announces: bool = True, may_order: bool = False
    ) -> str:
        """Its secret, known only now; one of the same name is replaced.

        `may_order`: it may reach the topics by which a Home Assistant sees our devices and gives them orders.

        Raises TakenNameError, FilterError, or pydantic.ValidationError for the name.
        """
        if name in self._reserved or self._devices.get(name):
            raise TakenNameError(f"{name} is the name of another account on the broker")
        secret = secrets.token_urlsafe(24)
        gateway = self._gateways.made(name, filters, mosquitto_hash(secret), announces=announces, may_order=may_order)
        await self._refuse_foreign([name])

        def write(connection: Connection) -> int:
            gateway_rows.put(connection, gateway, actor)
            return self._changed(connection, {name: secret})

        await self._write(write)
        await self._gateways.load()
        await self._tell(put=[name], secrets={name: secret})
        return secret

    async def remove_gateway(self, name: str, actor: str) -> None:
        """Cut at once. Raises UnknownGatewayError."""
        if self._gateways.get(name) is None:
            raise UnknownGatewayError(name)

        def write(connection: Connection) -> int:
            gateway_rows.remove(connection, name, actor)
            return self._changed(connection, {})

        await self._write(write)
        await self._gateways.load()
        await self._tell(remove=[name])

    async def announce(self) -> None:
        """Have the hub that runs read everything once more: plugins have added to what was changed."""
        await self._write(lambda connection: self._changed(connection, {}))

    # -- the broker

    async def _refuse_foreign(self, names: Sequence[str]) -> None:
        """A broker that is away cannot say; it refuses them itself when it is told. Raises TakenNameError."""
        if self.broker is None:
            return
        with suppress(*TROUBLE):
            if foreign := await self.broker.foreign(names):
                raise TakenNameError(f"{', '.join(sorted(foreign))}: the broker has an account of this name already")

    def ask_for_order(self) -> None:
        """The broker is back, or new: compare everything soon."""
        self._wanted.set()

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """For ever: bring the broker in order when asked to; `changed` is called after another program's changes."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wanted.wait()
            number = await self._store.read(_number)
            is_news = number != self._seen
            if is_news:
                await self.load()
                await changed()
            if is_news or self._wanted.is_set():
                self._wanted.clear()
                await self.put_in_order()

    async def put_in_order(self) -> None:
        """Make the broker's accounts those of the store. What goes wrong is in `problem`, and tried again."""
        if self.broker is None:
            return
        async with self._turn:
            try:
                await self._compare(self.broker)
                self.problem = None
            except TROUBLE as error:
                self.problem = str(error)
                log.warning("accounts_out_of_sync", problem=self.problem)
                asyncio.get_running_loop().call_later(LOOK_SECONDS * 5, self._wanted.set)

    async def _compare(self, broker: BrokerAccounts) -> None:
        known = await broker.all()
        wanted = {account.name: account for account in self.accounts()}
        if gone := [name for name in known if name not in wanted]:
            await broker.remove(gone)
        missing = [account for account in wanted.values() if known.get(account.name) != account.mark]
        given = await self._store.read(_waiting) if broker.needs_secrets else {}
        can = [one for one in missing if not broker.needs_secrets or one.name in given]
        if can:
            await broker.put(can, given)
            await self._forget({name: secret for name, secret in given.items() if name in {one.name for one in can}})
        self.unknown = frozenset(one.name for one in missing) - {one.name for one in can}
        if self.unknown:
            log.warning("broker_accounts_missing", accounts=sorted(self.unknown))

    async def _tell(
        self, *, put: Iterable[str] = (), remove: Sequence[str] = (), secrets: dict[str, str] | None = None
    ) -> None:
        if self.broker is None:
            return
        try:
            async with self._turn:
                if remove:
                    await self.broker.remove(remove)
                names = set(put)
                if accounts := [account for account in self.accounts() if account.name in names]:
                    await self.broker.put(accounts, secrets or {})
                    self.unknown -= names
            if secrets and self.broker.needs_secrets:
                await self._forget(secrets)
        except TROUBLE as error:
            self.problem = str(error)
            log.warning("broker_update_failed", problem=self.problem)
            self._wanted.set()

    def accounts(self) -> Iterable[BrokerAccount]:
        """What the broker should know."""
        yield from (account_of(device, self._root, self._site) for device in self._devices)
        yield from (gateway.account for gateway in self._gateways)

    # -- the store

    async def _write(self, write: Callable[[Connection], int]) -> None:
        """Our own changes are no news, unless somebody else's came between."""
        number = await self._store.write(write)
        if number == self._seen + 1:
            self._seen = number

    def _changed(self, connection: Connection, fresh: dict[str, str]) -> int:
        if self.needs_secrets and fresh:
            connection.execute(delete(waiting_secret).where(waiting_secret.c.name.in_(fresh)))
            rows = [{"name": name, "secret": secret} for name, secret in fresh.items()]
            connection.execute(insert(waiting_secret), rows)
        mine = revision.c.subject == SUBJECT
        if connection.execute(update(revision).where(mine).values(number=revision.c.number + 1)).rowcount == 0:
            connection.execute(insert(revision), {"subject": SUBJECT, "number": 1})
        return _number(connection)

    async def _forget(self, told: dict[str, str]) -> None:
        """The broker has them now; the store keeps hashes only."""

        def write(connection: Connection) -> None:
            for name, secret in told.items():
                mine = (waiting_secret.c.name == name) & (waiting_secret.c.secret == secret)
                connection.execute(delete(waiting_secret).where(mine))

        await self._store.write(write)


def account_of(device: Device, root: str, site: str) -> BrokerAccount:
    mine = branch(root, site, device.kind, device.id)
    return BrokerAccount(device.id, device.secret_hash, (f"{mine}/up/#",), (f"{mine}/down/#",))


def _number(connection: Connection) -> int:
    return connection.execute(select(revision.c.number).where(revision.c.subject == SUBJECT)).scalar() or 0


def _waiting(connection: Connection) -> dict[str, str]:
    return {row.name: row.secret for row in connection.execute(select(waiting_secret))}
