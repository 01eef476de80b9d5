"""People, as other plugins know them: who works here, who can be visited, who is in."""

from dataclasses import dataclass

from hub.plugin.hooks import question


@dataclass(frozen=True)
class Person:
    """An employee, as other plugins may know them."""

    id: str
    name: str
    unit: str
    title: str = ""
    mail: str | None = None
    phone: str | None = None
    tasks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """DNs of the directory's groups."""


@dataclass(frozen=True)
class Presence:
    """In or out, and never why."""

    person: Person
    is_in: bool


@question(within_seconds=2)
async def find_hosts(text: str, limit: int, device: str | None) -> list[Person]:
    """Who can be visited today and has a name that begins with `text` (three letters or more). At most `limit`.

    `device` is where somebody searches; None: an employee does, at the desk.

    People of protected units, and people who take no visits, are never among the answers.
    """
    raise NotImplementedError


@question(within_seconds=2)
async def host(person_id: str) -> Person | None:
    """The person with this id if they can be visited; None otherwise, also for people of protected units."""
    raise NotImplementedError


@question(within_seconds=5)
async def employees() -> list[Person]:
    """Everybody who works here, for rules about them: never for a public page, and not for visitors to choose from.

    Raise NotYetError before you know; an answer is believed whole.
    """
    raise NotImplementedError


@question(within_seconds=5)
async def employees_changed() -> None:
    """Somebody has begun, left, or changed unit: whoever keeps rules about people asks `employees`."""
    raise NotImplementedError


@question(within_seconds=2)
async def presences() -> list[Presence]:
    """Who stands on the public board, in or out."""
    raise NotImplementedError


@question(within_seconds=5)
async def presence_changed() -> None:
    """Somebody on the board has come or gone, or the board has other people: whoever shows it asks `presences`."""
    raise NotImplementedError
