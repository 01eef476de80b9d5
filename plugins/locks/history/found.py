"""Locks of other makers that the hub has found on the broker: doors too, though nobody can check what they say."""

from dataclasses import dataclass

from hub.plugin import Change, Context, Entity, Place, now
from hub.plugin.entities import verbs
from plugins.locks.history.alarms import Alarms
from plugins.locks.store import alarm_rows

LOCK = "lock"
NEEDS = {"open": "pulse", "unlock": "hold_open", "lock": "lock"}
"""What a found lock is told → the permission for it. Unlocked, it stays so until somebody locks it."""


def needed(entity: Entity, verb: str) -> str:
    """The verb of `permissions` that telling this entity takes. A gate that is opened stays open."""
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
        found = [_shown(self._context, one) for one in self._context.entities if one.component == LOCK]
        return sorted(found, key=lambda one: one.name)

    def get(self, entity_id: str) -> FoundLock | None:
        entity = self._context.entities.get(entity_id)
        return None if entity is None or entity.component != LOCK else _shown(self._context, entity)

    def watch(self) -> None:
        """A jammed lock is an alarm until it says something else."""
        self._context.watch(self._changed, LOCK)

    async def _changed(self, changes: list[Change]) -> None:
        latest = {one.entity.id: one.value for one in changes}
        for entity_id, value in latest.items():
            await self._context.store.write(
                lambda connection, door=entity_id, is_jammed=value == "jammed": (  # type: ignore[misc]
                    self._alarms.note(connection, door, "jammed", now())
                    if is_jammed
                    else alarm_rows.end(connection, door, "jammed", now())
                )
            )
        self._context.live.touch("doors")


def _shown(context: Context, one: Entity) -> FoundLock:
    name = one.device.name if one.name in ("", one.device.name) else f"{one.device.name}, {one.name}"
    return FoundLock(
        id=one.id,
        name=name,
        place=context.place_of(one),
        device=one.device.id,
        state=str(one.state) if one.state is not None else None,
        assumed=one.assumed,
        is_there=one.available,
        age_seconds=one.age_seconds,
        is_allowed=context.may_be_told(one),
        verbs=tuple(verbs(one)),
    )
