"""Commands to entities: checked, recorded in the audit log, then sent.

A found device cannot verify a signature (no end-to-end protection), so an administrator must first allow commands for
each entity that opens a building, and nothing is sent before the audit entry is committed.
"""

from sqlalchemy import Connection, insert, select, update

from hub.entities.entity import Entity, FoundDevice
from hub.entities.history import History
from hub.entities.orders import fingerprint, order
from hub.entities.registry import Entities
from hub.hooks.asking import Hooks, UnansweredError
from hub.hooks.specifications import Role, may_order
from hub.store import audit
from hub.store.store import Store
from hub.store.tables import entity_setting


class NotAllowedError(PermissionError):
    """No administrator has allowed commands to this entity."""


class UnreachableError(ConnectionError):
    """The broker or the device is offline; nothing was sent."""


class UnknownEntityError(LookupError):
    """No device announces this entity."""


class Commands:
    """Commands, and the settings of entities: permission and retention, in the store and cached in memory."""

    def __init__(self, store: Store, hooks: Hooks, entities: Entities, history: History) -> None:
        self._store = store
        self._hooks = hooks
        self._entities = entities
        self._history = history
        self._allowed: dict[str, str] = {}

    async def load(self) -> None:
        self._allowed = await self._store.read(_read_allowed)

    def may_command(self, entity: Entity) -> bool:
        """Whether commands are allowed. Permission is needed for what opens a building or has no owner.

        It is valid as long as the entity's fingerprint is the one that was allowed.
        """
        return not self._entities.needs_permission(entity) or self._allowed.get(entity.id) == fingerprint(entity)

    def has_changed(self, entity: Entity) -> bool:
        """Commands were allowed, but its announcement has changed since."""
        return entity.id in self._allowed and self._allowed[entity.id] != fingerprint(entity)

    async def may_order(self, entity: Entity, verb: str, roles: frozenset[Role]) -> bool:
        """Whether no plugin objects. If a plugin does not answer, what opens a building is refused."""
        try:
            return await self._hooks.veto(may_order, entity=entity.id, verb=verb, roles=roles)
        except UnansweredError:
            return not self._entities.opens(entity)

    async def send(self, entity_id: str, verb: str, value: str | float | None, actor: str, reason: str = "") -> None:
        """Record the command in the audit log, then send it. Sent does not mean done: watch the entity's state.

        Raises UnknownEntityError, NotAllowedError, OrderError, UnreachableError.
        """
        entity = self._entities.get(entity_id)
        if entity is None:
            raise UnknownEntityError(entity_id)
        if not self.may_command(entity):
            obstacle = "opens a building" if self._entities.opens(entity) else "takes commands on a topic of no account"
            raise NotAllowedError(f"{entity_id} {obstacle}: an administrator must allow it first")
        message = order(entity, verb, value)
        if not entity.available:
            raise UnreachableError(f"{entity.device.name} is away")
        details = {
            "verb": verb,
            "value": value if entity.component != "text" else None,
            "reason": reason or None,
            "topic": message.topic,
            "payload": message.payload.decode() if entity.component != "text" else None,
        }
        await self._store.write(
            lambda connection: audit.record(connection, actor, "entity.commanded", entity_id, details)
        )
        if not self._entities.send(entity, message):
            await self._store.write(
                lambda connection: audit.record(connection, "hub", "entity.not_sent", entity_id, {"verb": verb})
            )
            raise UnreachableError("the broker is away")

    async def allow(self, entity_id: str, *, is_allowed: bool, actor: str) -> None:
        """Allow or disallow commands to this entity. Raises UnknownEntityError."""
        entity = self._entities.get(entity_id)
        if entity is None:
            raise UnknownEntityError(entity_id)

        def write(connection: Connection) -> None:
            _save(connection, entity_id, {"is_allowed": is_allowed, "likeness": fingerprint(entity)})
            action = "entity.allowed" if is_allowed else "entity.disallowed"
            audit.record(connection, actor, action, entity_id)

        await self._store.write(write)
        await self.load()

    async def remove_device(self, device: FoundDevice, actor: str) -> None:
        """Remove the device and its retained announcements."""
        entities = sorted(device.entities)
        await self._store.write(
            lambda connection: audit.record(connection, actor, "found.removed", device.id, {"entities": entities})
        )
        self._entities.remove_device(device)

    async def set_retention(self, entity_id: str, days: int | None, actor: str) -> None:
        """Set how many days the history keeps this entity's states; None: the configured default."""

        def write(connection: Connection) -> None:
            _save(connection, entity_id, {"keep_days": days})
            audit.record(connection, actor, "entity.kept", entity_id, {"days": days})

        await self._store.write(write)
        self._history.set_retention(entity_id, days)


def _save(connection: Connection, entity_id: str, values: dict[str, object]) -> None:
    changed = connection.execute(update(entity_setting).where(entity_setting.c.id == entity_id).values(**values))
    if changed.rowcount == 0:
        connection.execute(insert(entity_setting), {"id": entity_id, "is_allowed": False} | values)


def _read_allowed(connection: Connection) -> dict[str, str]:
    rows = connection.execute(select(entity_setting).where(entity_setting.c.is_allowed))
    return {row.id: row.likeness or "" for row in rows}
