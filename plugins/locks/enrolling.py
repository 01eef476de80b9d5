"""A door's keys: its own pair, whose public half the store keeps, and the hub's public key for the door."""

from nacl.signing import SigningKey
from sqlalchemy import Connection, delete, insert

from devices.contract.enrolment import Enrolment
from hub.plugin import Context
from plugins.locks.signing import KEY_ID, Signer
from plugins.locks.tables import door as door_table


async def enrol_door(context: Context, signer: Signer, enrolment: Enrolment) -> Enrolment:
    """The enrolment with both keys. The door's private key is in it and nowhere else. Raises SigningError."""
    key = SigningKey.generate()
    row = {"id": enrolment.device, "verify_key": key.verify_key.encode().hex(), "boot": 0, "seq": 0}

    def write(connection: Connection) -> None:
        connection.execute(delete(door_table).where(door_table.c.id == enrolment.device))
        connection.execute(insert(door_table), row)

    await context.store.write(write)
    return enrolment.model_copy(
        update={"device_key": key.encode().hex(), "hub_key": await signer.verify_key(), "hub_key_id": KEY_ID}
    )
