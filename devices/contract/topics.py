"""Topic names: `<root>/<site>/<kind>/<device>/<direction>/<what>`.

A device may write below its own `up` and read below its own `down`, and nothing else (D5): the broker
needs two lines a device to see to it, and a device can never forge what the hub says.
"""

from typing import Literal, NamedTuple

Direction = Literal["up", "down"]


class Topic(NamedTuple):
    site: str
    kind: str
    device: str
    direction: str
    what: str


def branch(root: str, site: str, kind: str, device: str) -> str:
    """Everything of one device: `kommunevert/raadhus/door/door-1`."""
    return f"{root}/{site}/{kind}/{device}"


def topic(root: str, site: str, kind: str, device: str, direction: Direction, what: str) -> str:
    return f"{root}/{site}/{kind}/{device}/{direction}/{what}"


def parse(root: str, name: str) -> Topic | None:
    """The parts of a topic of ours; None for anything else. `what` may have slashes in it."""
    if not name.startswith(root + "/"):
        return None
    parts = name[len(root) + 1 :].split("/", 4)
    return Topic(*parts) if len(parts) == len(Topic._fields) else None
