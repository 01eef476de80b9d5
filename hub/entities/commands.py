"""Telling an entity to do something: allowed, written down, then sent.

A found device cannot check a signature (no end-to-end protection), so what opens a building must have been allowed for
each entity by an administrator, and nothing is sent before its intent is committed.
"""

from sqlalchemy import Connection, insert, select, update

from hub.entities.entity import Entity, FoundDevice
from hub.entities.history import History
from hub.entities.orders import likeness, order
from hub.entities.registry import Entities
from hub.hooks.asking import Hooks, UnansweredError
from hub.hooks.specifications import Role, may_order
from hub.store import audit
from hub.store.store import Store
from hub.store.tables import entity_setting


class NotAllowedError(PermissionError):
    """Nobody has allowed this entity to be told anything."""


class UnreachableError(ConnectionError):
    """The broker or the device is away; nothing was sent."""


class UnknownEntityError(LookupError):
    """No device has announced it, or it is gone."""


class Commands:
    """What may be asked of entities, and how long they are remembered: in the store, and in memory for speed."""

    def __init__(self, store: Store, hooks: Hooks, entities: Entities, history: History) -> None:
        self._store = store
        self._hooks = hooks
        self._entities = entities
        self._history = history
        self._allowed: dict[str, str] = {}

    async def load(self) -> None:
        self._allowed = await self._store.read(_allowed)

    def may(self, entity: Entity) -> bool:
        """What opens a building, or is nobody's, needs leave, and has it as long as it is what was given leave."""
        return not self._entities.needs_leave(entity) or self._allowed.get(entity.id) == likeness(entity)

    def has_changed(self, entity: Entity) -> bool:
        """It had leave, but has announced itself anew and differently since."""
        return entity.id in self._allowed and self._allowed[entity.id] != likeness(entity)

    async def may_order(self, entity: Entity, verb: str, roles: frozenset[Role]) -> bool:
        """Whether no plugin is against it. What opens a building also waits for the plugin that knows who may."""
        try:
            return await self._hooks.unopposed(may_order, entity=entity.id, verb=verb, roles=roles)
        except UnansweredError:
            return not self._entities.opens(entity)

    async def give(self, entity_id: str, verb: str, value: str | float | None, actor: str, reason: str = "") -> None:
        """Send the order, after its intent is durable. It is sent, which is not done: the entity's state tells.

        Raises UnknownEntityError, NotAllowedError, OrderError, UnreachableError.
        """
        entity = self._entities.get(entity_id)
        if entity is None:
            raise UnknownEntityError(entity_id)
        if not self.may(entity):
            why = "opens a building" if self._entities.opens(entity) else "takes orders by a topic that is no account's"
            raise NotAllowedError(f"{entity_id} {why}: an administrator must allow it first")
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
        """Let people tell this entity something, or not any more. Raises UnknownEntityError."""
        entity = self._entities.get(entity_id)
        if entity is None:
            raise UnknownEntityError(entity_id)

        def write(connection: Connection) -> None:
            _put(connection, entity_id, {"is_allowed": is_allowed, "likeness": likeness(entity)})
            what = "entity.allowed" if is_allowed else "entity.disallowed"
            audit.record(connection, actor, what, entity_id)

        await self._store.write(write)
        await self.load()

    async def take_away(self, device: FoundDevice, actor: str) -> None:
        """It is gone, or somebody has said so and IT knows: its announcements go with it."""
        entities = sorted(device.entities)
        await self._store.write(
            lambda connection: audit.record(connection, actor, "found.removed", device.id, {"entities": entities})
        )
        self._entities.take_away(device)

    async def keep(self, entity_id: str, days: int | None, actor: str) -> None:
        """How long the history keeps this entity's states, in days; None: as long as the others'."""

        def write(connection: Connection) -> None:
            _put(connection, entity_id, {"keep_days": days})
            audit.record(connection, actor, "entity.kept", entity_id, {"days": days})

        await self._store.write(write)
        self._history.keep(entity_id, days)


def _put(connection: Connection, entity_id: str, values: dict[str, object]) -> None:
    changed = connection.execute(update(entity_setting).where(entity_setting.c.id == entity_id).values(**values))
    if changed.rowcount == 0:
        connection.execute(insert(entity_setting), {"id": entity_id, "is_allowed": False} | values)


def _allowed(connection: Connection) -> dict[str, str]:
    rows = connection.execute(select(entity_setting).where(entity_setting.c.is_allowed))
    return {row.id: row.likeness or "" for row in rows}
