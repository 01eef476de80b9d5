"""What a Home Assistant on the broker sees of doors, and may tell them."""

from devices.contract import door
from hub.plugin import Context
from hub.plugin.hooks import MirroredDevice
from plugins.locks.doors.standing import Standing
from plugins.locks.models import TooManyCommandsError, UnknownDoorError
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import Permissions

REASON = "asked for by another system"
UNLOCK = frozenset({"UNLOCK", "OPEN"})
STATES = {"locked": "LOCKED", "unlocked": "UNLOCKED"}


def mirrored_doors(context: Context, standing: Standing, permissions: Permissions) -> list[MirroredDevice]:
    """A lock and its contact. Unknown stays unknown; both orders that open let somebody in for a moment."""
    return [
        MirroredDevice(
            device.id,
            {
                "lock": {"platform": "lock", "name": None, "payload_open": "OPEN"},
                "contact": {"platform": "binary_sensor", "name": "Door", "device_class": "door"},
            },
            {
                "lock": STATES.get(standing.of(device.id).lock),
                "contact": {"open": "ON", "closed": "OFF"}.get(standing.of(device.id).contact),
            },
            {"lock": permissions.roles("pulse", device.where.zone)},
        )
        for device in context.devices.of_kind(door.KIND)
    ]


async def order_door(locks: Locks, device: str, key: str, order: str, actor: str) -> bool | None:
    """By the same exchange as when a person asks: committed intent, challenge, signature."""
    if key != "lock":
        return None
    if order not in UNLOCK:
        return False  # it locks by itself
    try:
        return await locks.pulse(device, actor, REASON) == "done"
    except UnknownDoorError:
        return None
    except TooManyCommandsError:
        return False
