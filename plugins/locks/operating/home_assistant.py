"""Doors as Home Assistant entities: their state, and the orders that are accepted for them."""

from devices.contract import door
from hub.plugin import Context
from hub.plugin.hooks import MirroredDevice
from plugins.locks.doors.states import DoorStates
from plugins.locks.models import TooManyCommandsError, UnknownDoorError
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import Permissions

REASON = "asked for by another system"
UNLOCK = frozenset({"UNLOCK", "OPEN"})
STATES = {"locked": "LOCKED", "unlocked": "UNLOCKED"}


def mirrored_doors(context: Context, states: DoorStates, permissions: Permissions) -> list[MirroredDevice]:
    """A lock and a contact sensor for each door. Unknown states stay unknown."""
    return [
        MirroredDevice(
            device.id,
            {
                "lock": {"platform": "lock", "name": None, "payload_open": "OPEN"},
                "contact": {"platform": "binary_sensor", "name": "Door", "device_class": "door"},
            },
            {
                "lock": STATES.get(states.of(device.id).lock),
                "contact": {"open": "ON", "closed": "OFF"}.get(states.of(device.id).contact),
            },
            {"lock": permissions.roles("pulse", device.where.zone)},
        )
        for device in context.devices.of_kind(door.KIND)
    ]


async def order_door(locks: Locks, device: str, key: str, order: str, actor: str) -> bool | None:
    """Open a door for a moment, by the same exchange as for a person. None for what is no door of ours."""
    if key != "lock":
        return None
    if order not in UNLOCK:
        return False  # doors lock by themselves
    try:
        return await locks.pulse(device, actor, REASON) == "done"
    except UnknownDoorError:
        return None
    except TooManyCommandsError:
        return False
