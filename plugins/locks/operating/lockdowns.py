"""Shutting a zone, or the site, to all but the named: committed first, then each door is told. Never the way out."""

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
        """`zone` "" is the whole site. What each of its doors answered; one that is away hears of it by its list."""
        one = Lockdown(zone, now(), actor, reason)
        await self._context.store.write(lambda connection: access_rows.begin_lockdown(connection, one))
        return await self._tell(zone, Order("lockdown"), actor, reason)

    async def end(self, zone: str, actor: str, reason: str) -> dict[str, Result]:
        """Doors that another lockdown holds too stay as they are. Empty when there was none."""
        if not await self._context.store.write(
            lambda connection: access_rows.end_lockdown(connection, zone, actor, reason)
        ):
            return {}
        return await self._tell(zone, Order("lift_lockdown"), actor, reason)

    async def _tell(self, zone: str, order: Order, actor: str, reason: str) -> dict[str, Result]:
        await self._access.load()
        wanted = order.verb == "lockdown"
        doors = [
            one.id
            for one in self._context.devices.of_kind(door.KIND)
            if zone in ("", one.where.zone) and self._access.of(one.id).lockdown == wanted
        ]
        return await self._locks.tell_all(doors, order, actor, reason)
