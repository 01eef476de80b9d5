"""Reads and writes visitors' passes; functions on a connection."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from hub.plugin import audit
from plugins.locks.models import VisitPass
from plugins.locks.store.tables import visit_pass

COLUMNS = [column for column in visit_pass.c if column.name != "sha256"]


def add(connection: Connection, made: VisitPass, sha256: str) -> None:
    """The committed intent that the signer looks for."""
    connection.execute(insert(visit_pass), vars(made) | {"doors": list(made.doors), "sha256": sha256})
    details = {"doors": list(made.doors), "first": made.first, "until": made.until, "once": made.once}
    audit.record(connection, made.made_by, "pass.made", made.id, {key: str(value) for key, value in details.items()})


def unexpired(connection: Connection, at: datetime) -> list[VisitPass]:
    """Passes that have not expired, including used and revoked ones."""
    query = select(*COLUMNS).where(visit_pass.c.until > at).order_by(visit_pass.c.first)
    return [_of(row) for row in connection.execute(query)]


def use(connection: Connection, name: str, door: str, at: datetime) -> bool:
    """Mark a pass as used. False when it was used before, or there is no such pass for this door."""
    doors = connection.execute(select(visit_pass.c.doors).where(visit_pass.c.id == name)).scalar()
    if doors is None or door not in doors:
        return False
    fresh = (visit_pass.c.id == name) & visit_pass.c.used_at.is_(None)
    return bool(connection.execute(update(visit_pass).where(fresh).values(used_at=at)).rowcount)


def revoke(connection: Connection, name: str, actor: str, at: datetime) -> bool:
    good = (visit_pass.c.id == name) & visit_pass.c.revoked_at.is_(None)
    done = connection.execute(update(visit_pass).where(good).values(revoked_at=at))
    if done.rowcount:
        audit.record(connection, actor, "pass.revoked", name)
    return bool(done.rowcount)


def forget(connection: Connection, before: datetime) -> None:
    connection.execute(delete(visit_pass).where(visit_pass.c.until < before))


def revoked(passes: Iterable[VisitPass]) -> dict[str, frozenset[str]]:
    """Door → ids of the passes that are revoked."""
    found: dict[str, set[str]] = {}
    for given in passes:
        for door in given.doors if given.revoked_at else ():
            found.setdefault(door, set()).add(given.id)
    return {door: frozenset(names) for door, names in found.items()}


def _of(row: object) -> VisitPass:
    values = row._asdict()  # type: ignore[attr-defined]
    return VisitPass(**(values | {"doors": tuple(values["doors"])}))
