"""A door's keys: its own pair, whose public half the store keeps, and the hub's public key for the door."""

from nacl.signing import SigningKey
from sqlalchemy import Connection, delete, insert, update

from devices.contract.enrolment import Enrolment
from hub.plugin import Context
from plugins.locks.hub_keys import HubKeys
from plugins.locks.tables import access_list
from plugins.locks.tables import door as door_table


async def enrol_door(context: Context, hub_keys: HubKeys, enrolment: Enrolment) -> Enrolment:
    """The enrolment with both keys. The door's private key is in it and nowhere else. Raises SigningError.

    A list that was sealed for the key before is for nobody.
    """
    key = SigningKey.generate()
    row = {"id": enrolment.device, "verify_key": key.verify_key.encode().hex(), "boot": 0, "seq": 0}

    def write(connection: Connection) -> None:
        connection.execute(delete(door_table).where(door_table.c.id == enrolment.device))
        connection.execute(insert(door_table), row)
        connection.execute(update(access_list).where(access_list.c.door == enrolment.device).values(payload=None))

    await context.store.write(write)
    signs = await hub_keys.current()
    return enrolment.model_copy(
        update={"device_key": key.encode().hex(), "hub_key": signs.verify_key, "hub_key_id": signs.id}
    )
