"""Enrolment of a door: its own key pair, and the hub's public key."""

from nacl.signing import SigningKey
from sqlalchemy import Connection, insert, update

from devices.contract.enrolment import Enrolment
from hub.plugin import Context
from plugins.locks.models import HubKey
from plugins.locks.store import hub_key_rows
from plugins.locks.store.tables import access_list
from plugins.locks.store.tables import door as door_table
from plugins.locks.trust.hub_keys import HubKeys


async def enrol_door(context: Context, hub_keys: HubKeys, enrolment: Enrolment) -> Enrolment:
    """The enrolment with both keys. The door's private key is stored nowhere else. Raises SigningError.

    The door's settings stay. Its current list is dropped, since it is sealed for the previous key. The hub's signing
    key is read in the same transaction, so that it is not retired meanwhile (`hub_key_rows.retire_if_known`).
    """
    key = SigningKey.generate()
    mine = {"id": enrolment.device}
    fresh = {"verify_key": key.verify_key.encode().hex(), "boot": 0, "seq": 0, "mark": "", "last_event": 0}

    def write(connection: Connection) -> HubKey:
        here = door_table.c.id == enrolment.device
        if connection.execute(update(door_table).where(here).values(fresh)).rowcount == 0:
            connection.execute(insert(door_table), mine | fresh)
        connection.execute(update(access_list).where(access_list.c.door == enrolment.device).values(payload=None))
        return hub_key_rows.signing(connection)

    await hub_keys.current()
    signs = await context.store.write(write)
    return enrolment.model_copy(
        update={"device_key": key.encode().hex(), "hub_key": signs.verify_key, "hub_key_id": signs.id}
    )
