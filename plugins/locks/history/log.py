"""The doors' log: searches by person and exports, both recorded in the audit log."""

import csv
from collections.abc import Collection, Iterable
from datetime import datetime, tzinfo
from io import StringIO

from sqlalchemy import Connection

from hub.plugin import Context, audit
from plugins.locks.rules import rows as access_rows
from plugins.locks.rules.access import Access
from plugins.locks.store import timeline
from plugins.locks.store.timeline import Entry

MAX_EXPORTED = 50_000
COLUMNS = ("time", "door", "what", "result", "why", "by", "credential", "reason", "count", "audit", "received")


class Log:
    def __init__(self, context: Context, access: Access) -> None:
        self._context = context
        self._access = access

    async def of_door(
        self, door_id: str, before: datetime | None, limit: int, *, without: Collection[str] = ()
    ) -> list[Entry]:
        """`without` these kinds of events."""
        return await self._context.store.read(
            lambda connection: timeline.passages(connection, door=door_id, before=before, without=without, limit=limit)
        )

    async def owners(self, credentials: Collection[str]) -> dict[str, str]:
        """Pseudonym → the employee's name as the directory says it, else the label."""
        found = await self._context.store.read(lambda connection: access_rows.owners(connection, credentials))
        names = self._access.names
        return {ref: names[person].name if person in names else label for ref, (person, label) in found.items()}

    async def of_person(self, person: str, reason: str, actor: str, limit: int) -> list[Entry]:
        """The passages of one employee's credentials. The search and its reason are recorded in the audit log."""

        def search(connection: Connection) -> list[Entry]:
            audit.record(connection, actor, "passages.searched", person, {"reason": reason})
            refs = access_rows.refs_of(connection, person)
            return timeline.passages(connection, credentials=refs, limit=limit) if refs else []

        return await self._context.store.write(search)

    async def export(
        self, door_id: str | None, first: datetime, before: datetime, reason: str, actor: str, zone: tzinfo
    ) -> str:
        """CSV, oldest first, with pseudonyms and no names; times are those of `zone`.

        The export and its reason are recorded in the audit log.
        """

        def read(connection: Connection) -> list[Entry]:
            details = {"reason": reason, "first": first.isoformat(), "before": before.isoformat()}
            audit.record(connection, actor, "passages.exported", door_id or "*", details)
            return timeline.passages(connection, door=door_id, first=first, before=before, limit=MAX_EXPORTED)

        return as_csv(reversed(await self._context.store.write(read)), zone)


def as_csv(entries: Iterable[Entry], zone: tzinfo) -> str:
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for entry in entries:
        row = (
            _local(entry.happened_at, zone), entry.door, entry.what, entry.result, entry.why, entry.actor,
            entry.credential, entry.reason, entry.count, entry.audit, _local(entry.at, zone),
        )  # fmt: skip
        writer.writerow([_plain(value) for value in row])
    return out.getvalue()


def _local(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).isoformat(timespec="seconds")


def _plain(value: object) -> object:
    """A spreadsheet would take a text that begins so for a formula (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
