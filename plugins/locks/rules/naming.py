"""Looks up employees by typed names, and names credentials for people."""

from collections.abc import Iterable, Mapping

from hub.plugin import N_, MistakeError
from plugins.directory.contract import Person
from plugins.locks.models import Credential
from plugins.locks.rules.access import Access

MAX_ALIKE = 5


def find_person(text: str, people: Mapping[str, Person]) -> str:
    """The id of the employee with this id or this whole name. Raises MistakeError."""
    wanted = text.strip()
    if wanted in people:
        return wanted
    found = [person for person in people.values() if person.name.casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0].id
    if found:
        ids = ", ".join(f"{person.id} ({person.unit})" for person in found)
        raise MistakeError(N_("More than one is called %(name)s. Write instead: %(ids)s"), name=wanted, ids=ids)
    alike = sorted(person.name for person in people.values() if wanted and wanted.casefold() in person.name.casefold())
    if alike:
        raise MistakeError(
            N_("Nobody is called exactly %(name)s. Do you mean: %(names)s?"),
            name=wanted,
            names=", ".join(alike[:MAX_ALIKE]),
        )
    raise MistakeError(N_("Nobody is called %(name)s."), name=wanted or "?")


def find_people(text: str, people: Mapping[str, Person]) -> tuple[str, ...]:
    """One in each line. Raises MistakeError."""
    return tuple(dict.fromkeys(find_person(line, people) for line in text.splitlines() if line.strip()))


def name_of(credential: Credential, people: Mapping[str, Person]) -> str:
    """Whose it is, else its label, else its pseudonym."""
    if credential.person is not None:
        return people[credential.person].name if credential.person in people else credential.person
    return credential.label or credential.ref


def names_of(access: Access, refs: Iterable[str]) -> dict[str, str]:
    wanted = set(refs)
    return {
        credential.ref: name_of(credential, access.names)
        for credential in access.rule_book.credentials
        if credential.ref in wanted
    }
