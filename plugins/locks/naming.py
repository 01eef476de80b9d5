"""Employees by what somebody types, and credentials by what people call them."""

from collections.abc import Iterable, Mapping

from hub.hookspecs import Person
from plugins.locks.access import Access
from plugins.locks.models import Credential


class NoSuchPersonError(ValueError):
    """Nobody, or more than one, is called so; the text says which."""


def person_in(text: str, people: Mapping[str, Person]) -> str:
    """The id of the employee with this id or this whole name. Raises NoSuchPersonError."""
    wanted = text.strip()
    if wanted in people:
        return wanted
    found = [one for one in people.values() if one.name.casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0].id
    if found:
        raise NoSuchPersonError(f"{wanted}: {', '.join(f'{one.id} ({one.unit})' for one in found)}")
    raise NoSuchPersonError(wanted)


def people_in(text: str, people: Mapping[str, Person]) -> tuple[str, ...]:
    """One in each line. Raises NoSuchPersonError."""
    return tuple(dict.fromkeys(person_in(line, people) for line in text.splitlines() if line.strip()))


def name_of(one: Credential, people: Mapping[str, Person]) -> str:
    """Whose it is, else its label, else its pseudonym."""
    if one.person is not None:
        return people[one.person].name if one.person in people else one.person
    return one.label or one.ref


def names_of(access: Access, refs: Iterable[str]) -> dict[str, str]:
    wanted = set(refs)
    return {one.ref: name_of(one, access.names) for one in access.kept.credentials if one.ref in wanted}
