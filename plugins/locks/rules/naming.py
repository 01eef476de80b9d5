"""Employees by what somebody types, and credentials by what people call them."""

from collections.abc import Iterable, Mapping

from hub.plugin import N_
from plugins.directory.contract import Person
from plugins.locks.mistakes import MistakeError
from plugins.locks.models import Credential
from plugins.locks.rules.access import Access

MOST_ALIKE = 5


def person_in(text: str, people: Mapping[str, Person]) -> str:
    """The id of the employee with this id or this whole name. Raises MistakeError."""
    wanted = text.strip()
    if wanted in people:
        return wanted
    found = [one for one in people.values() if one.name.casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0].id
    if found:
        ids = ", ".join(f"{one.id} ({one.unit})" for one in found)
        raise MistakeError(N_("More than one is called %(name)s. Write instead: %(ids)s"), name=wanted, ids=ids)
    alike = sorted(one.name for one in people.values() if wanted and wanted.casefold() in one.name.casefold())
    if alike:
        raise MistakeError(
            N_("Nobody is called exactly %(name)s. Do you mean: %(names)s?"),
            name=wanted,
            names=", ".join(alike[:MOST_ALIKE]),
        )
    raise MistakeError(N_("Nobody is called %(name)s."), name=wanted or "?")


def people_in(text: str, people: Mapping[str, Person]) -> tuple[str, ...]:
    """One in each line. Raises MistakeError."""
    return tuple(dict.fromkeys(person_in(line, people) for line in text.splitlines() if line.strip()))


def name_of(one: Credential, people: Mapping[str, Person]) -> str:
    """Whose it is, else its label, else its pseudonym."""
    if one.person is not None:
        return people[one.person].name if one.person in people else one.person
    return one.label or one.ref


def names_of(access: Access, refs: Iterable[str]) -> dict[str, str]:
    wanted = set(refs)
    return {one.ref: name_of(one, access.names) for one in access.kept.credentials if one.ref in wanted}
