"""Locks of other makers, discovered on the broker. Their messages are not signed."""

from dataclasses import dataclass

from hub.plugin import Change, Context, Entity, Place, now
from hub.plugin.entities import verbs
from plugins.locks.history.alarms import Alarms
from plugins.locks.store import alarm_rows

LOCK = "lock"
NEEDS = {"open": "pulse", "unlock": "hold_open", "lock": "lock"}
"""Verb of a found lock → the permission it takes. Once unlocked, such a lock stays so until it is locked."""


def needed(entity: Entity, verb: str) -> str:
    """The verb of `permissions` that ordering this entity takes. A gate stays open once it has been opened."""
    if entity.component == LOCK:
        return NEEDS.get(verb, "hold_open")
    return "lock" if verb == "close" else "hold_open"


@dataclass(frozen=True)
class FoundLock:
    """`state` is a word of Home Assistant's; None: unknown, or it is away. `assumed`: asked for, not confirmed."""

    id: str
    name: str
    place: Place
    device: str
    state: str | None
    assumed: bool
    is_there: bool
    age_seconds: float | None
    is_allowed: bool
    verbs: tuple[str, ...]


class FoundLocks:
    def __init__(self, context: Context, alarms: Alarms) -> None:
        self._context = context
        self._alarms = alarms

    def all(self) -> list[FoundLock]:
        found = [_found_lock(self._context, entity) for entity in self._context.entities if entity.component == LOCK]
        return sorted(found, key=lambda lock: lock.name)

    def get(self, entity_id: str) -> FoundLock | None:
        entity = self._context.entities.get(entity_id)
        return None if entity is None or entity.component != LOCK else _found_lock(self._context, entity)

    def watch(self) -> None:
        """Raise an alarm for a jammed lock, until its state changes."""
        self._context.watch(self._changed, LOCK)

    async def _changed(self, changes: list[Change]) -> None:
        latest = {change.entity.id: change.value for change in changes}
        for entity_id, value in latest.items():
            await self._context.store.write(
                lambda connection, door=entity_id, is_jammed=value == "jammed": (  # type: ignore[misc]
                    self._alarms.record(connection, door, "jammed", now())
                    if is_jammed
                    else alarm_rows.end(connection, door, "jammed", now())
                )
            )
        self._context.live.touch("doors")


def _found_lock(context: Context, entity: Entity) -> FoundLock:
    name = entity.device.name if entity.name in ("", entity.device.name) else f"{entity.device.name}, {entity.name}"
    return FoundLock(
        id=entity.id,
        name=name,
        place=context.place_of(entity),
        device=entity.device.id,
        state=str(entity.state) if entity.state is not None else None,
        assumed=entity.assumed,
        is_there=entity.available,
        age_seconds=entity.age_seconds,
        is_allowed=context.may_command(entity),
        verbs=tuple(verbs(entity)),
    )
