"""Reads and writes the hub's keys. The private halves are only with the signer."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from hub.plugin import audit
from plugins.locks.models import HubKey
from plugins.locks.store.tables import door, hub_key


def trusted(connection: Connection) -> list[HubKey]:
    """Keys that some door may still trust, the oldest first."""
    query = select(hub_key).where(hub_key.c.ended_at.is_(None)).order_by(hub_key.c.number)
    return [HubKey(**row._asdict()) for row in connection.execute(query)]


def signing(connection: Connection) -> HubKey:
    """The key that signs; there always is one."""
    return next(key for key in trusted(connection) if key.is_made and key.retired_at is None)


def retire_if_known(connection: Connection, name: str, actor: str, at: datetime, known: Mapping[str, str]) -> bool:
    """Retire a key; False when a door that is not `known` (door → its own key) was enrolled meanwhile."""
    if any(known.get(row.id) != row.verify_key for row in connection.execute(select(door.c.id, door.c.verify_key))):
        return False
    retire(connection, name, actor, at)
    return True


def intend(connection: Connection, actor: str, at: datetime) -> str:
    """The committed intent that the signer looks for; the new key's id. Numbers are never given twice."""
    newest = connection.execute(select(hub_key.c.number).order_by(hub_key.c.number.desc()).limit(1)).scalar() or 0
    name = f"hub-{newest + 1}"
    row = {"id": name, "number": newest + 1, "verify_key": "", "made_at": at, "made_by": actor}
    connection.execute(insert(hub_key), row)
    audit.record(connection, actor, "hub_key.made", name)
    return name


def made(connection: Connection, name: str, verify_key: str) -> None:
    connection.execute(update(hub_key).where(hub_key.c.id == name).values(verify_key=verify_key))


def retire(connection: Connection, name: str, actor: str, at: datetime) -> None:
    """The key signs nothing new; what it has signed stays valid."""
    fresh = (hub_key.c.id == name) & hub_key.c.retired_at.is_(None)
    if connection.execute(update(hub_key).where(fresh).values(retired_at=at)).rowcount:
        audit.record(connection, actor, "hub_key.retired", name)


def end(connection: Connection, name: str, actor: str, at: datetime) -> None:
    """What the key has signed is no longer valid."""
    fresh = (hub_key.c.id == name) & hub_key.c.ended_at.is_(None)
    if connection.execute(update(hub_key).where(fresh).values(ended_at=at)).rowcount:
        audit.record(connection, actor, "hub_key.ended", name)
