"""Floor plans: pictures that somebody uploads, and where doors are on them."""

import asyncio
import re
from dataclasses import dataclass
from io import BytesIO
from xml.etree import ElementTree as ET

from sqlalchemy import Connection, delete, insert, select, update

from hub.plugin import N_, Context, MistakeError, audit
from plugins.locks.store.tables import placed, plan

MAX_BYTES = 900_000
SVG = "{http://www.w3.org/2000/svg}svg"
LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(?:px|mm|cm|in|pt|pc)?")
LARGEST = 1_000_000.0
NO_SVG = N_("The file is no SVG picture. In the drawing program choose \u201cSave as SVG\u201d.")


class UnknownPlanError(LookupError):
    """There is no such plan."""


@dataclass(frozen=True)
class Plan:
    """`width` and `height` are the picture's own units."""

    id: int
    name: str
    width: float
    height: float


@dataclass(frozen=True)
class Placed:
    door: str
    plan: int
    x: float
    y: float


class Plans:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def all(self) -> list[Plan]:
        return await self._context.store.read(_plans)

    async def placed(self) -> list[Placed]:
        return await self._context.store.read(_placed)

    async def picture(self, number: int) -> str:
        """The SVG as uploaded; serve it with a policy that runs nothing in it. Raises UnknownPlanError."""
        query = select(plan.c.picture).where(plan.c.id == number)
        found = await self._context.store.read(lambda connection: connection.execute(query).scalar())
        if found is None:
            raise UnknownPlanError(number)
        return str(found)

    async def add(self, name: str, picture: bytes, actor: str) -> int:
        """Its number. Raises MistakeError for what cannot be a plan."""
        width, height = await asyncio.to_thread(size_of, picture)
        row = {"name": name, "picture": picture.decode(), "width": width, "height": height}

        def write(connection: Connection) -> int:
            number = connection.execute(insert(plan).values(**row).returning(plan.c.id)).scalar_one()
            audit.record(connection, actor, "plan.added", str(number), {"name": name})
            return int(number)

        return await self._context.store.write(write)

    async def drop(self, number: int, actor: str) -> None:
        """With the places of its doors. Raises UnknownPlanError."""

        def write(connection: Connection) -> bool:
            connection.execute(delete(placed).where(placed.c.plan == number))
            done = connection.execute(delete(plan).where(plan.c.id == number)).rowcount
            if done:
                audit.record(connection, actor, "plan.dropped", str(number))
            return bool(done)

        if not await self._context.store.write(write):
            raise UnknownPlanError(number)

    async def place(self, number: int, door: str, x: float, y: float, actor: str) -> None:
        """Put a door on a plan, or move it. Raises UnknownPlanError."""

        def write(connection: Connection) -> bool:
            found = next((plan for plan in _plans(connection) if plan.id == number), None)
            if found is None:
                return False
            where = {"plan": number, "x": min(max(x, 0.0), found.width), "y": min(max(y, 0.0), found.height)}
            if not connection.execute(update(placed).where(placed.c.door == door).values(**where)).rowcount:
                connection.execute(insert(placed).values(door=door, **where))
            audit.record(connection, actor, "door.placed", door, {"plan": number})
            self._context.touch(connection, "doors")
            return True

        if not await self._context.store.write(write):
            raise UnknownPlanError(number)

    async def take_away(self, door: str, actor: str) -> None:
        """The door is on no plan any more."""

        def write(connection: Connection) -> None:
            if connection.execute(delete(placed).where(placed.c.door == door)).rowcount:
                audit.record(connection, actor, "door.placed", door, {"plan": None})
                self._context.touch(connection, "doors")

        await self._context.store.write(write)


def size_of(picture: bytes) -> tuple[float, float]:
    """Width and height of an SVG, from its outermost element. Raises MistakeError."""
    if len(picture) > MAX_BYTES:
        raise MistakeError(N_("The picture is larger than %(size)s kB."), size=MAX_BYTES // 1000)
    if b"\0" in picture:  # UTF-16 among them, in which the next look would find nothing
        raise MistakeError(NO_SVG)
    if b"<!ENTITY" in picture:
        raise MistakeError(N_("The picture has entities of its own: save it as plain SVG."))
    try:
        picture.decode()
        _, root = next(iter(ET.iterparse(BytesIO(picture), events=("start",))))  # noqa: S314 (no entities, one element)
    except (ET.ParseError, UnicodeDecodeError, StopIteration):
        raise MistakeError(NO_SVG) from None
    if root.tag != SVG:
        raise MistakeError(NO_SVG)
    parts = (root.get("viewBox") or "").replace(",", " ").split()
    width, height = parts[2:] if len(parts) == 4 else (root.get("width", ""), root.get("height", ""))  # noqa: PLR2004
    found = [float(match[1]) if (match := LENGTH.fullmatch(text.strip())) else 0.0 for text in (width, height)]
    if not all(0 < length <= LARGEST for length in found):
        raise MistakeError(N_("The picture says no size: it needs a viewBox, or width and height."))
    return found[0], found[1]


def _plans(connection: Connection) -> list[Plan]:
    columns = (plan.c.id, plan.c.name, plan.c.width, plan.c.height)
    return [Plan(**row._asdict()) for row in connection.execute(select(*columns).order_by(plan.c.name))]


def _placed(connection: Connection) -> list[Placed]:
    return [Placed(**row._asdict()) for row in connection.execute(select(placed))]
