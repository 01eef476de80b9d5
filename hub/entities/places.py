"""Where found devices are: the place that an administrator chose, else the area that the device suggests."""

from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from hub.devices.registry import Place
from hub.entities.entity import FoundDevice
from hub.store import audit
from hub.store.store import Store
from hub.store.tables import found_place


class FoundPlaces:
    """A cache of the places in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_device: dict[str, Place] = {}

    async def load(self) -> None:
        self._by_device = await self._store.read(_read_places)

    def of(self, device: FoundDevice) -> Place:
        chosen = self._by_device.get(device.id)
        if chosen is not None:
            return chosen
        return Place(zone=(device.maker.suggested_area if device.maker else None) or "")

    async def set_place(self, device: FoundDevice, place: Place, actor: str) -> None:
        """Set the device's place; an empty one restores the device's own suggestion."""

        def write(connection: Connection) -> None:
            connection.execute(delete(found_place).where(found_place.c.device == device.id))
            if str(place):
                connection.execute(insert(found_place), {"device": device.id, **asdict(place)})
            audit.record(connection, actor, "found_device.placed", device.id, {"place": str(place)})

        await self._store.write(write)
        await self.load()


def _read_places(connection: Connection) -> dict[str, Place]:
    rows = connection.execute(select(found_place))
    return {row.device: Place(row.site, row.building, row.floor, row.zone) for row in rows}
