"""Which roles may send which commands to which doors; a permission may be limited to zones."""

from collections.abc import Collection, Iterable
from typing import Any

from hub.plugin import Remark
from hub.plugin.hooks import Role
from plugins.locks.config import Permission, Permitted

WHOLE_SITE = ""
EDITORS = frozenset[Any]({"caretaker", "it"})
"""Roles that edit rules, keys, floor plans and door settings."""


class Permissions:
    def __init__(self, permissions: Iterable[Permission]) -> None:
        self._permissions = tuple(permissions)

    def may(self, roles: Iterable[Role], verb: str, zone: str) -> bool:
        """`verb`: of devices.contract.door; `zone`: the door's, or WHOLE_SITE."""
        held = frozenset(roles)
        return any(
            permission.role in held and (not permission.zones or zone in permission.zones)
            for permission in self._of(verb)
        )

    def roles(self, verb: str, zone: str | None = None) -> frozenset[Role]:
        """Roles with this permission in `zone`; None: anywhere."""
        return frozenset(
            permission.role
            for permission in self._of(verb)
            if zone is None or not permission.zones or zone in permission.zones
        )

    def unmatched_zones(self, zones: Collection[str]) -> str | None:
        """A sentence for IT that names permitted zones without doors; None when there are none, or no doors at all."""
        named = {zone for permission in self._permissions for zone in permission.zones}
        unknown = ", ".join(sorted(named.difference(zones)))
        return f"`may` permits something in zones that no door is in: {unknown}" if zones and unknown else None

    def _of(self, verb: str) -> list[Permission]:
        needed = NEEDED[verb]
        return [permission for permission in self._permissions if permission.verbs & needed]


def zones_to_compare(permissions: Iterable[Permission]) -> list[Remark]:
    """For `kommunevert check`, which cannot know the doors: they are in the store."""
    return [
        Remark(
            ("may", number, "zones"),
            f"holds for doors whose zone on the console is spelt just like that: {', '.join(sorted(permission.zones))}",
            is_hint=True,
        )
        for number, permission in enumerate(permissions)
        if permission.zones
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
