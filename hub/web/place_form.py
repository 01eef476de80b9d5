"""The fields of a form for a device's place, and their suggestions."""

from collections.abc import Iterable, Mapping
from typing import Any

from devices.contract.payload import clean
from hub.devices.registry import Device, Place
from hub.web.forms import Form

PARTS = ("site", "building", "floor", "zone")
MAX_PART_LENGTH = 60
PLACE = Form(must=PARTS)


def place_in(sent: Mapping[str, Any]) -> Place:
    """The place from submitted fields."""
    return Place(**{part: str(clean(str(sent.get(part, ""))))[:MAX_PART_LENGTH] for part in PARTS})


def suggestions(devices: Iterable[Device]) -> dict[str, list[str]]:
    """The values that other devices have, by part."""
    others = list(devices)
    return {part: sorted({getattr(device.where, part) for device in others} - {""}) for part in PARTS}
