"""Reads and writes rules, credentials, door settings, lockdowns and access lists; functions on a connection."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from hub.plugin import audit, now
from plugins.directory.contract import Person
from plugins.locks.models import AccessRule, Credential, DoorSettings, KnownCredentialError, Lockdown
from plugins.locks.rules.compiling import RuleBook
from plugins.locks.rules.groups import with_names
from plugins.locks.store import pass_rows
from plugins.locks.store.tables import access_list, credential, door, lockdown, person, rule


def rule_book(connection: Connection) -> RuleBook:
    """Read everything that decides who may pass."""
    people = {row.id: row for row in connection.execute(select(person))}
    return RuleBook(
        rules=rules(connection),
        credentials=credentials(connection),
        units={name: row.unit for name, row in people.items()},
        groups=with_names({name: frozenset(row.groups) for name, row in people.items() if row.groups}),
        settings={
            row.id: DoorSettings.model_validate(row.settings)
            for row in connection.execute(select(door.c.id, door.c.settings))
        },
        locked_down=[lockdown.zone for lockdown in lockdowns(connection)],
        passes=pass_rows.unexpired(connection, now()),
        audit=audit.last_number(connection),
    )


# -- rules


def rules(connection: Connection) -> list[AccessRule]:
    return [
        AccessRule.model_validate(dict(row)) for row in connection.execute(select(rule).order_by(rule.c.id)).mappings()
    ]


def save_rule(connection: Connection, wanted: AccessRule, actor: str) -> int:
    """Insert a rule (id 0) or update one; its number, or 0 when the rule no longer exists."""
    values = wanted.model_dump(mode="json", exclude={"id"})
    if wanted.id:
        done = connection.execute(update(rule).where(rule.c.id == wanted.id).values(**values))
        if not done.rowcount:
            return 0
        number = wanted.id
    else:
        number = connection.execute(insert(rule).values(**values).returning(rule.c.id)).scalar_one()
    audit.record(connection, actor, "rule.kept", str(number), values)
    return number


def delete_rule(connection: Connection, number: int, actor: str) -> bool:
    done = connection.execute(delete(rule).where(rule.c.id == number))
    if done.rowcount:
        audit.record(connection, actor, "rule.dropped", str(number))
    return bool(done.rowcount)


# -- credentials


def credentials(connection: Connection, *, also_ended: bool = False) -> list[Credential]:
    query = select(credential).order_by(credential.c.made_at)
    if not also_ended:
        query = query.where(credential.c.ended_at.is_(None))
    return [Credential(**row._asdict()) for row in connection.execute(query)]


def owners(connection: Connection, refs: Iterable[str]) -> dict[str, tuple[str | None, str]]:
    """Pseudonym → (employee, label), including ended credentials."""
    columns = (credential.c.ref, credential.c.person, credential.c.label)
    query = select(*columns).where(credential.c.ref.in_(list(refs)))
    return {row.ref: (row.person, row.label) for row in connection.execute(query)}


def refs_of(connection: Connection, person_id: str) -> list[str]:
    """All credentials that an employee has, or had."""
    return list(connection.execute(select(credential.c.ref).where(credential.c.person == person_id)).scalars())


def active_refs(connection: Connection, person: str, kind: str) -> list[str]:
    is_theirs = (credential.c.person == person) & (credential.c.kind == kind) & credential.c.ended_at.is_(None)
    return list(connection.execute(select(credential.c.ref).where(is_theirs)).scalars())


def has_fingerprint(connection: Connection, fingerprint: str) -> bool:
    query = select(credential.c.ref).where(credential.c.fingerprint == fingerprint, credential.c.ended_at.is_(None))
    return connection.execute(query).first() is not None


def add_credential(connection: Connection, added: Credential, actor: str) -> None:
    """Insert a credential. An ended one with the same fingerprint loses it: the card now belongs to the new one."""
    ended = credential.c.fingerprint == added.fingerprint
    connection.execute(update(credential).where(ended).values(fingerprint=credential.c.ref))
    connection.execute(insert(credential), vars(added))
    audit.record(connection, actor, "credential.added", added.ref, {"kind": added.kind, "person": added.person})


def end_credential(connection: Connection, ref: str, why: str, actor: str) -> datetime | None:
    """The time; None when there is no such active credential."""
    at = now()
    done = connection.execute(
        update(credential)
        .where(credential.c.ref == ref, credential.c.ended_at.is_(None))
        .values(ended_at=at, ended_why=why)
    )
    if not done.rowcount:
        return None
    audit.record(connection, actor, "credential.ended", ref, {"why": why})
    return at


def restore_credential(connection: Connection, ref: str, actor: str) -> bool:
    """Raises KnownCredentialError when the card has been given to somebody else meanwhile."""
    row = connection.execute(select(credential).where(credential.c.ref == ref)).first()
    if row is None or row.ended_at is None or row.kind != "card":
        return False
    if row.fingerprint == ref:
        raise KnownCredentialError(ref)
    connection.execute(update(credential).where(credential.c.ref == ref).values(ended_at=None, ended_why=None))
    audit.record(connection, actor, "credential.restored", ref)
    return True


def recently_ended(connection: Connection, limit: int = 20) -> list[Credential]:
    is_card = (credential.c.kind == "card") & credential.c.ended_at.is_not(None)
    not_given_again = credential.c.fingerprint != credential.c.ref
    query = select(credential).where(is_card, not_given_again).order_by(credential.c.ended_at.desc()).limit(limit)
    return [Credential(**row._asdict()) for row in connection.execute(query)]


def change_credential(connection: Connection, ref: str, values: dict[str, Any], actor: str) -> bool:
    living = (credential.c.ref == ref) & credential.c.ended_at.is_(None)
    done = connection.execute(update(credential).where(living).values(**values))
    if done.rowcount:
        audit.record(connection, actor, "credential.changed", ref, {key: str(value) for key, value in values.items()})
    return bool(done.rowcount)


# -- people


def save_people(connection: Connection, people: Iterable[Person]) -> bool:
    """Replace the employees; whether anybody has come, gone, or changed unit or groups."""
    rows = [{"id": person.id, "unit": person.unit, "groups": sorted(person.groups)} for person in people]
    known = {row.id: row._asdict() for row in connection.execute(select(person))}
    if known == {row["id"]: row for row in rows}:
        return False
    connection.execute(delete(person))
    if rows:
        connection.execute(insert(person), rows)
    return True


# -- doors


def save_settings(connection: Connection, door_id: str, settings: DoorSettings, actor: str) -> bool:
    values = settings.model_dump(mode="json")
    done = connection.execute(update(door).where(door.c.id == door_id).values(settings=values))
    if done.rowcount:
        audit.record(connection, actor, "door.set", door_id, values)
    return bool(done.rowcount)


def lockdowns(connection: Connection) -> list[Lockdown]:
    return [Lockdown(**row._asdict()) for row in connection.execute(select(lockdown).order_by(lockdown.c.zone))]


def begin_lockdown(connection: Connection, begun: Lockdown) -> None:
    """Begin a lockdown; one that is active already is left unchanged."""
    if connection.execute(select(lockdown.c.zone).where(lockdown.c.zone == begun.zone)).first() is not None:
        return
    connection.execute(insert(lockdown), vars(begun))
    audit.record(connection, begun.actor, "lockdown.began", begun.zone or "*", {"reason": begun.reason})


def end_lockdown(connection: Connection, zone: str, actor: str, reason: str) -> bool:
    done = connection.execute(delete(lockdown).where(lockdown.c.zone == zone))
    if done.rowcount:
        audit.record(connection, actor, "lockdown.ended", zone or "*", {"reason": reason})
    return bool(done.rowcount)


# -- lists


@dataclass(frozen=True)
class ListRow:
    """A door's latest list. `digest`: of its content. Without a payload it was intended but never signed."""

    version: int
    digest: str
    valid_until: datetime
    has_payload: bool


def lists(connection: Connection) -> dict[str, ListRow]:
    columns = access_list.c
    query = select(
        columns.door,
        columns.version,
        columns.digest,
        columns.valid_until,
        columns.payload.is_not(None).label("has_payload"),
    )
    return {row.door: ListRow(*row[1:]) for row in connection.execute(query)}


def payload(connection: Connection, door_id: str) -> tuple[int, bytes] | None:
    """The version and signed payload of the door's latest list."""
    query = select(access_list.c.version, access_list.c.payload).where(access_list.c.door == door_id)
    row = connection.execute(query.where(access_list.c.payload.is_not(None))).first()
    return (row.version, row.payload) if row else None


def intend_list(
    connection: Connection, door_id: str, version: int, digest: str, sha256: str, made_at: datetime, until: datetime
) -> None:
    """The committed intent that the signer looks for."""
    connection.execute(delete(access_list).where(access_list.c.door == door_id))
    row = {"door": door_id, "version": version, "digest": digest, "sha256": sha256}
    connection.execute(insert(access_list), row | {"made_at": made_at, "valid_until": until, "payload": None})


def save_payload(connection: Connection, door_id: str, version: int, payload: bytes) -> None:
    mine = (access_list.c.door == door_id) & (access_list.c.version == version)
    connection.execute(update(access_list).where(mine).values(payload=payload))
