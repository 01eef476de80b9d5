"""The part of a form that says where a device is, and what to suggest there."""

from collections.abc import Iterable, Mapping
from typing import Any

from devices.contract.payload import clean
from hub.devices.registry import Device, Place
from hub.web.forms import Form

PARTS = ("site", "building", "floor", "zone")
MOST_CHARACTERS = 60
PLACE = Form(must=PARTS)


def place_in(sent: Mapping[str, Any]) -> Place:
    """From a form with a field for each part."""
    return Place(**{part: str(clean(str(sent.get(part, ""))))[:MOST_CHARACTERS] for part in PARTS})


def suggestions(devices: Iterable[Device]) -> dict[str, list[str]]:
    """What other devices have, part by part."""
    known = list(devices)
    return {part: sorted({getattr(one.where, part) for one in known} - {""}) for part in PARTS}
