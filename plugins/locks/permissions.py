"""Who may tell which door what: by role, and where a permission says so by zone."""

from collections.abc import Collection, Iterable
from typing import Any

from hub.plugin import Remark
from hub.plugin.hooks import Role
from plugins.locks.config import Permission, Permitted

WHOLE_SITE = ""
MAKE = frozenset[Any]({"caretaker", "it"})
"""Who sets rules, keys, floor plans and doors' habits."""


class Permissions:
    def __init__(self, permissions: Iterable[Permission]) -> None:
        self._permissions = tuple(permissions)

    def may(self, roles: Iterable[Role], verb: str, zone: str) -> bool:
        """`verb` as the contract's; `zone` is the door's, or WHOLE_SITE."""
        held = frozenset(roles)
        return any(one.role in held and (not one.zones or zone in one.zones) for one in self._of(verb))

    def roles(self, verb: str, zone: str | None = None) -> frozenset[Role]:
        """Those that may: in this zone, or anywhere at all."""
        return frozenset(one.role for one in self._of(verb) if zone is None or not one.zones or zone in one.zones)

    def in_vain(self, zones: Collection[str]) -> str | None:
        """A sentence for IT: what is permitted in zones that none of the doors is in. None while there are no doors."""
        named = {zone for one in self._permissions for zone in one.zones}
        unknown = ", ".join(sorted(named.difference(zones)))
        return f"`may` permits something in zones that no door is in: {unknown}" if zones and unknown else None

    def _of(self, verb: str) -> list[Permission]:
        needed = NEEDED[verb]
        return [one for one in self._permissions if one.verbs & needed]


def zones_to_compare(permissions: Iterable[Permission]) -> list[Remark]:
    """For `kommunevert check`, which cannot know the doors: they are in the store."""
    return [
        Remark(
            ("may", number, "zones"),
            f"holds for doors whose zone on the console is spelt just like that: {', '.join(sorted(one.zones))}",
            is_hint=True,
        )
        for number, one in enumerate(permissions)
        if one.zones
    ]


NEEDED: dict[str, frozenset[Permitted]] = {
    "pulse": frozenset({"pulse"}),
    "hold_open": frozenset({"hold_open"}),
    "lock": frozenset({"lock"}),
    "resume": frozenset({"hold_open", "lock"}),
    "lockdown": frozenset({"lockdown"}),
    "lift_lockdown": frozenset({"lockdown"}),
}
"""Verb → any of these permissions."""
