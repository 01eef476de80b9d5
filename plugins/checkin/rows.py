"""Reads and writes visits. Plain functions on a connection: they run in the store's threads."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, true, update

from plugins.checkin.models import NewVisit, UnknownNumberError, Visit
from plugins.checkin.tables import visit
from plugins.checkin.timing import TOLERANCE, Timing
from plugins.directory.contract import Person
from plugins.notify.contract import Answer

NUMBERS = 10_000
SPARE = 8
DRAWS = 3
ID_TAKEN = "another's"
"""Stands instead of a number for a visit whose id another kiosk has used."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new visit, with what the hub knows of it."""

    new: NewVisit
    host: Person
    at: datetime
    timing: Timing | None = None


def add_all(connection: Connection, arrivals: list[Arrival]) -> tuple[list[str | None], list[str]]:
    """The number of each arrival, and the ids of the new ones: the same id twice is one visit (I2).

    ID_TAKEN for an id that another kiosk's visit has: that arrival is not stored.
    """
    ids = [arrival.new.id for arrival in arrivals]
    known = connection.execute(select(visit.c.id, visit.c.number, visit.c.kiosk).where(visit.c.id.in_(ids))).all()
    numbers: dict[str, str | None] = {row.id: row.number for row in known}
    kiosks = {row.id: row.kiosk for row in known}
    fresh: dict[str, Arrival] = {}
    for arrival in arrivals:
        if kiosks.setdefault(arrival.new.id, arrival.new.kiosk) == arrival.new.kiosk and arrival.new.id not in numbers:
            fresh[arrival.new.id] = arrival
    if fresh:
        numbers |= zip(fresh, _free_numbers(connection, len(fresh)), strict=True)
        connection.execute(insert(visit), [_row(arrival, numbers[id_]) for id_, arrival in fresh.items()])
    own = [kiosks[arrival.new.id] == arrival.new.kiosk for arrival in arrivals]
    return [numbers[id_] if is_own else ID_TAKEN for id_, is_own in zip(ids, own, strict=True)], list(fresh)


def check_out_by_number(
    connection: Connection, number: str, check_out: str, by: str, at: datetime, corrected_at: datetime
) -> str | None:
    """The visit's id; None for a repeated check-out. Raises UnknownNumberError.

    `corrected_at`: the kiosk's time of leaving by our clock. A check-out that waited in a kiosk does not apply to a
    visitor who has got the number since.
    """
    if connection.execute(select(visit.c.id).where(visit.c.check_out == check_out, visit.c.left_by == by)).first():
        return None
    found = connection.execute(
        select(visit.c.id).where(
            visit.c.left_at.is_(None), visit.c.number == number, visit.c.registered_at <= corrected_at + TOLERANCE
        )
    ).scalar()
    if found is None:
        raise UnknownNumberError(check_out)
    connection.execute(update(visit).where(visit.c.id == found).values(left_at=at, left_by=by, check_out=check_out))
    return str(found)


def check_out(connection: Connection, visit_id: str, actor: str, at: datetime) -> bool:
    """False when they had left already."""
    done = connection.execute(
        update(visit).where(visit.c.id == visit_id, visit.c.left_at.is_(None)).values(left_at=at, left_by=actor)
    )
    return done.rowcount == 1


def undo_check_out(connection: Connection, visit_id: str) -> Row[*tuple[Any, ...]] | None:
    """The visit's row as of `inside`; None when they had not left, or the data are deleted."""
    done = connection.execute(
        update(visit)
        .where(visit.c.id == visit_id, visit.c.left_at.is_not(None), visit.c.visitor.is_not(None))
        .values(left_at=None, left_by=None, check_out=None)
    )
    return _inside(connection, visit.c.id == visit_id)[0] if done.rowcount == 1 else None


def confirm(connection: Connection, visit_id: str) -> Row[*tuple[Any, ...]] | None:
    """Mark a late registration as confirmed; its row as of `inside`. None when it was not late, or they have left."""
    late = (visit.c.id == visit_id) & visit.c.left_at.is_(None) & (visit.c.timing == "late")
    done = connection.execute(update(visit).where(late).values(timing="waited"))
    return _inside(connection, visit.c.id == visit_id)[0] if done.rowcount == 1 else None


def answer(connection: Connection, visit_id: str, chosen: Answer, at: datetime) -> bool:
    done = connection.execute(
        update(visit).where(visit.c.id == visit_id).values(answer=chosen, answered_at=at, answer_seen=None)
    )
    return done.rowcount == 1


def set_seen(connection: Connection, visit_id: str, device: str, *, is_seen: bool) -> bool:
    """Record whether an answer was seen; once True it stays. False when nothing changes."""
    mine = (visit.c.id == visit_id) & (visit.c.kiosk == device) & visit.c.answer.is_not(None)
    news = visit.c.answer_seen.is_not(True) if is_seen else visit.c.answer_seen.is_(None)
    return connection.execute(update(visit).where(mine, news).values(answer_seen=is_seen)).rowcount == 1


def read_answer(connection: Connection, number: str) -> tuple[str, Answer | None] | None:
    """The visit with this number and its answer, which is marked as seen."""
    mine = visit.c.left_at.is_(None) & (visit.c.number == number)
    row = connection.execute(select(visit.c.id, visit.c.answer).where(mine)).first()
    if row is None:
        return None
    if row.answer is not None:
        connection.execute(update(visit).where(visit.c.id == row.id).values(answer_seen=True))
    return row.id, row.answer


def unshown_answers(connection: Connection, since: datetime) -> list[Visit]:
    """Visits of people inside with an answer since then that their kiosk has not acknowledged."""
    waits = visit.c.left_at.is_(None) & visit.c.answer.is_not(None) & visit.c.answer_seen.is_(None)
    at_kiosk = visit.c.kiosk.is_not(None)
    return [
        _visit(row) for row in connection.execute(select(visit).where(waits, at_kiosk, visit.c.answered_at > since))
    ]


def set_told(connection: Connection, visit_ids: list[str], *, told: bool) -> None:
    if visit_ids:
        connection.execute(update(visit).where(visit.c.id.in_(visit_ids)).values(told=told))


def get_all(connection: Connection, visit_ids: list[str]) -> list[Visit]:
    return [_visit(row) for row in connection.execute(select(visit).where(visit.c.id.in_(visit_ids)))]


def get(connection: Connection, visit_id: str) -> Visit | None:
    row = connection.execute(select(visit).where(visit.c.id == visit_id)).first()
    return _visit(row) if row else None


def inside(connection: Connection) -> Sequence[Row[*tuple[Any, ...]]]:
    """The columns of the evacuation list for everybody inside, by time of registration."""
    return _inside(connection, true())


def _inside(connection: Connection, which: ColumnElement[bool]) -> Sequence[Row[*tuple[Any, ...]]]:
    columns = select(
        visit.c.id, visit.c.visitor, visit.c.company, visit.c.host_name, visit.c.host_unit, visit.c.registered_at,
        visit.c.arrived_at, visit.c.timing,
    )  # fmt: skip
    return connection.execute(columns.where(visit.c.left_at.is_(None), which).order_by(visit.c.registered_at)).all()


def since(connection: Connection, start: datetime) -> list[Visit]:
    """Those who registered since then, or are inside still; newest first."""
    rows = connection.execute(
        select(visit)
        .where((visit.c.registered_at >= start) | visit.c.left_at.is_(None))
        .order_by(visit.c.registered_at.desc())
        .limit(500)
    )
    return [_visit(row) for row in rows]


def count_inside(connection: Connection) -> int:
    return connection.execute(select(func.count()).where(visit.c.left_at.is_(None))).scalar_one()


def count_remembered(connection: Connection) -> tuple[int, datetime | None]:
    row = connection.execute(
        select(func.count(), func.min(visit.c.registered_at)).where(visit.c.visitor.is_not(None))
    ).one()
    return row[0], row[1]


def end_day(connection: Connection, registered_before: datetime, at: datetime) -> int:
    """Check out everybody registered before, by the hub's clock; how many."""
    done = connection.execute(
        update(visit)
        .where(visit.c.left_at.is_(None), visit.c.registered_at < registered_before)
        .values(left_at=at, left_by="night")
    )
    return done.rowcount


def forget(connection: Connection, left_before: datetime) -> list[str]:
    """Delete the personal fields of those who left before; their ids."""
    due = (visit.c.left_at < left_before) & visit.c.visitor.is_not(None)
    ids = list(connection.execute(select(visit.c.id).where(due)).scalars())
    nothing = {"visitor": None, "company": None, "host": None, "host_name": None, "host_unit": None, "number": None}
    connection.execute(update(visit).where(due).values(**nothing))
    return ids


def _row(arrival: Arrival, number: str | None) -> dict[str, Any]:
    new, host = arrival.new, arrival.host
    return {
        "id": new.id,
        "kiosk": new.kiosk,
        "host": host.id,
        "host_name": host.name,
        "host_unit": host.unit,
        "visitor": new.visitor,
        "company": new.company,
        "language": new.language,
        "number": number,
        "arrived_at": new.arrived_at,
        "registered_at": arrival.at,
        "timing": arrival.timing,
    }


def _free_numbers(connection: Connection, count: int) -> list[str | None]:
    """Random numbers that nobody inside has; None where a few draws find none, so that the desk checks out."""
    free: list[str | None] = []
    for _ in range(DRAWS):
        drawn = [f"{number:04}" for number in random.sample(range(NUMBERS), min(NUMBERS, count + SPARE))]
        inside = visit.c.left_at.is_(None)
        taken = set(connection.execute(select(visit.c.number).where(inside, visit.c.number.in_(drawn))).scalars())
        free += [number for number in drawn if number not in taken and number not in free]
        if len(free) >= count:
            break
    return (free + [None] * count)[:count]


def _visit(row: Row[Any]) -> Visit:
    fields = row._asdict()
    del fields["check_out"]
    return Visit(**fields)
