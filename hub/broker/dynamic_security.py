"""Accounts of a Mosquitto elsewhere, by its Dynamic Security plugin, over the hub's own connection.

The commands are JSON on `$CONTROL/dynamic-security/v1` (https://mosquitto.org/documentation/dynamic-security/).
Patterns with `%u` do not work in Debian's 2.0.11, so each account has a role of its own. Our accounts have OWN_MARK as
their text name; others are left alone. Suitable for about a thousand accounts: the plugin rewrites its file at every
command.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import orjson
import structlog

from devices.wire.connection import Received, Wire
from hub.broker.accounts import BrokerAccount, BrokerAwayError, BrokerRefusedError

log = structlog.get_logger("dynamic_security")

CONTROL = "$CONTROL/dynamic-security/v1"
RESPONSE = f"{CONTROL}/response"
OWN_MARK = "kommunevert"
HUB_ROLE = "kommunevert-hub"
RESPONSE_SECONDS = 20
BATCH_SIZE = 40
"""Accounts in one message; the broker is blocked meanwhile."""
PAGE_SIZE = 500
ACL_TYPES = ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe")

Command = dict[str, Any]


class DynamicSecurity:
    """Call `attach` with the hub's wire, and `on_response` with each message."""

    needs_secrets = True

    def __init__(self, hub_account: str) -> None:
        self._hub_account = hub_account
        self._wire: Wire | None = None
        self._is_prepared = False
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[list[Command]]] = {}
        self._lock = asyncio.Lock()

    def attach(self, wire: Wire) -> None:
        self._wire = wire
        wire.subscribe(RESPONSE)

    def on_response(self, received: Received) -> bool:
        """Whether the message was a response to us; called by the wire for every message."""
        if received.topic != RESPONSE:
            return False
        if self._wire is not None:
            self._wire.acknowledge(received)
        responses: list[Command] = orjson.loads(received.payload).get("responses", [])
        number = str(responses[0].get("correlationData", "")) if responses else ""
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(responses)
        return True

    def on_disconnected(self) -> None:
        """The connection is lost, so no pending command will get a response."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(BrokerAwayError("the broker went away"))

    async def _prepare(self) -> None:
        """Deny by default, and allow the hub everything. Changes only what differs."""
        found = await self._query({"command": "getDefaultACLAccess"})
        allowed = [one for one in found["acls"] if one["allow"]]
        client = (await self._query({"command": "getClient", "username": self._hub_account}))["client"]
        if HUB_ROLE not in [role["rolename"] for role in client.get("roles", [])]:
            log.info("hub_role_granted", account=self._hub_account)
            role = _role(HUB_ROLE, ("#",), ("#", "$SYS/#"))
            await self._send([{"command": "deleteRole", "rolename": HUB_ROLE}, role], ignore_missing=True)
            add = {"command": "addClientRole", "username": self._hub_account, "rolename": HUB_ROLE}
            await self._send([add])  # the broker disconnects us; we reconnect with the role
        if allowed:
            acls = [{"acltype": one, "allow": False} for one in ACL_TYPES]
            await self._send([{"command": "setDefaultACLAccess", "acls": acls}])

    async def put(self, accounts: Sequence[BrokerAccount], secrets: dict[str, str]) -> None:
        foreign = await self.foreign([one.name for one in accounts])
        own = [one for one in accounts if one.name not in foreign]
        for at in range(0, len(own), BATCH_SIZE):
            batch = own[at : at + BATCH_SIZE]
            await self._send([*_delete_commands([one.name for one in batch])], ignore_missing=True)
            await self._send([command for one in batch for command in _create_commands(one, secrets[one.name])])
        if foreign:
            named = ", ".join(sorted(foreign))
            raise BrokerRefusedError(f"accounts that somebody else has made stay as they are: {named}")

    async def remove(self, names: Sequence[str]) -> None:
        foreign = await self.foreign(names)
        own = [name for name in names if name not in foreign]
        for at in range(0, len(own), BATCH_SIZE):
            await self._send([*_delete_commands(own[at : at + BATCH_SIZE])], ignore_missing=True)

    async def foreign(self, names: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for at in range(0, len(names), BATCH_SIZE):
            queries: list[Command] = [{"command": "getClient", "username": one} for one in names[at : at + BATCH_SIZE]]
            answers = await self._send(queries, ignore_missing=True)
            clients = [one["data"]["client"] for one in answers if "data" in one]
            found |= {one["username"] for one in clients if one.get("textname") != OWN_MARK}
        return found

    async def all(self) -> dict[str, str]:
        if not self._is_prepared:
            await self._prepare()
            self._is_prepared = True
        found: dict[str, str] = {}
        offset, total = 0, 1
        while offset < total:
            page = await self._query({"command": "listClients", "verbose": True, "count": PAGE_SIZE, "offset": offset})
            clients, total = page["clients"], page["totalCount"]
            found |= {
                one["username"]: one.get("textdescription", "") for one in clients if one.get("textname") == OWN_MARK
            }
            offset += PAGE_SIZE
        return found

    async def _query(self, command: Command) -> Command:
        data: Command = (await self._send([command]))[0]["data"]
        return data

    async def _send(self, commands: list[Command], *, ignore_missing: bool = False) -> list[Command]:
        """Send commands; returns the responses. Raises BrokerAwayError or BrokerRefusedError."""
        async with self._lock:
            number = str(next(self._numbers))
            future = self._waiting[number] = asyncio.get_running_loop().create_future()
            marked = [command | {"correlationData": number} for command in commands]
            try:
                if self._wire is None or not self._wire.publish(CONTROL, orjson.dumps({"commands": marked})):
                    raise BrokerAwayError("the broker is away")
                async with asyncio.timeout(RESPONSE_SECONDS):
                    responses: list[Command] = await future
            except TimeoutError:
                raise BrokerAwayError(
                    f"no answer on {RESPONSE}: is the plugin loaded, and may the hub's account use it?"
                ) from None
            finally:
                del self._waiting[number]
        errors = [one["error"] for one in responses if "error" in one]
        if ignore_missing:
            errors = [one for one in errors if "not found" not in one]
        if errors:
            raise BrokerRefusedError(f"Dynamic Security: {errors[0]}")
        return responses


def _delete_commands(names: Sequence[str]) -> Iterator[Command]:
    for name in names:
        yield {"command": "deleteClient", "username": name}
        yield {"command": "deleteRole", "rolename": _role_of(name)}


def _create_commands(account: BrokerAccount, secret: str) -> Iterator[Command]:
    yield _role(_role_of(account.name), account.writes, account.reads)
    yield {
        "command": "createClient",
        "username": account.name,
        "password": secret,
        "clientid": account.name,
        "textname": OWN_MARK,
        "textdescription": account.mark,
        "roles": [{"rolename": _role_of(account.name)}],
    }


def _role(name: str, writes: Sequence[str], reads: Sequence[str]) -> Command:
    acls = [{"acltype": "publishClientSend", "topic": one, "allow": True} for one in writes]
    for acl in ("publishClientReceive", "subscribePattern", "unsubscribePattern"):
        acls += [{"acltype": acl, "topic": one, "allow": True} for one in reads]
    return {"command": "createRole", "rolename": name, "textname": OWN_MARK, "acls": acls}


def _role_of(name: str) -> str:
    return f"{OWN_MARK}-{name}"
