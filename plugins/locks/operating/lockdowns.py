"""Lockdown of a zone or the site: stored, then sent to each door. Only named credentials open; exits stay free."""

from devices.contract import door
from hub.plugin import Context, now
from plugins.locks.models import Lockdown, Order, Result
from plugins.locks.operating.service import Locks
from plugins.locks.rules import rows as access_rows
from plugins.locks.rules.access import Access


class Lockdowns:
    def __init__(self, context: Context, access: Access, locks: Locks) -> None:
        self._context = context
        self._access = access
        self._locks = locks

    async def current(self) -> list[Lockdown]:
        return await self._context.store.read(access_rows.lockdowns)

    async def begin(self, zone: str, actor: str, reason: str) -> dict[str, Result]:
        """Each door's result. `zone` "" is the whole site. A door without contact learns of it from its next list."""
        lockdown = Lockdown(zone, now(), actor, reason)
        await self._context.store.write(lambda connection: access_rows.begin_lockdown(connection, lockdown))
        return await self._tell(zone, Order("lockdown"), actor, reason)

    async def end(self, zone: str, actor: str, reason: str) -> dict[str, Result]:
        """Each door's result; empty when there was no such lockdown. Doors in another lockdown stay shut."""
        if not await self._context.store.write(
            lambda connection: access_rows.end_lockdown(connection, zone, actor, reason)
        ):
            return {}
        return await self._tell(zone, Order("lift_lockdown"), actor, reason)

    async def _tell(self, zone: str, order: Order, actor: str, reason: str) -> dict[str, Result]:
        await self._access.load()
        wanted = order.verb == "lockdown"
        doors = [
            device.id
            for device in self._context.devices.of_kind(door.KIND)
            if zone in ("", device.where.zone) and self._access.for_door(device.id).lockdown == wanted
        ]
        return await self._locks.send_all(doors, order, actor, reason)
