"""Where found devices are: what an administrator has said, else the area that the device itself suggests."""

from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from hub.devices.registry import Place
from hub.entities.entity import FoundDevice
from hub.store import audit
from hub.store.store import Store
from hub.store.tables import found_place


class FoundPlaces:
    """In memory for the pages, in the store for truth."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Place] = {}

    async def load(self) -> None:
        self._known = await self._store.read(_all)

    def of(self, device: FoundDevice) -> Place:
        said = self._known.get(device.id)
        if said is not None:
            return said
        return Place(zone=(device.maker.suggested_area if device.maker else None) or "")

    async def put(self, device: FoundDevice, place: Place, actor: str) -> None:
        """An empty place is none: the device's own suggestion counts again."""

        def write(connection: Connection) -> None:
            connection.execute(delete(found_place).where(found_place.c.device == device.id))
            if str(place):
                connection.execute(insert(found_place), {"device": device.id, **asdict(place)})
            audit.record(connection, actor, "found_device.placed", device.id, {"place": str(place)})

        await self._store.write(write)
        await self.load()


def _all(connection: Connection) -> dict[str, Place]:
    rows = connection.execute(select(found_place))
    return {row.device: Place(row.site, row.building, row.floor, row.zone) for row in rows}
