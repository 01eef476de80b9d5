"""People, whether they are in, and reading the directory anew, for programs."""

from datetime import datetime
from typing import Any

from pydantic import Field

from devices.contract.payload import Id
from hub.plugin.api import Call, Document, Nothing, Page, PageQuery, Query, Request, found, operation, page_of
from plugins.directory.models import Employee
from plugins.directory.people import People
from plugins.directory.service import Directory


class PersonPath(Query):
    person: Id


class PersonDocument(Document):
    """An employee."""

    id: Id
    name: str
    unit: str
    title: str
    mail: str | None
    phone: str | None
    mobile: str | None
    tasks: list[str]


class PersonPage(Page[PersonDocument]):
    """Employees by name."""


class PeopleQuery(PageQuery):
    q: str = Field(default="", max_length=80, description="words that name, unit, title or tasks begin with")


class PresenceDocument(Document):
    """Whether somebody is in, and never why."""

    is_in: bool


class Presence(Request):
    is_in: bool


class DirectoryDocument(Document):
    """How current the people are."""

    people: int
    read_at: datetime | None
    problem: str | None


class Reading(Request):
    accept_loss: bool = Field(default=False, description="believe it even if many people are gone at once")


READ: dict[str, Any] = {"scope": "people:read", "roles": {"front_line", "it"}, "is_personal": True}


class PeopleApi:
    def __init__(self, directory: Directory, people: People) -> None:
        self._directory = directory
        self._people = people

    @operation("GET", "/people", summary="People", **READ)
    async def people(self, call: Call[Nothing, PeopleQuery, Nothing]) -> PersonPage:
        matching = self._people.search(call.query.q)
        part, following = page_of(
            matching,
            lambda employee: f"{' '.join(employee.words)} {employee.id}",
            call.query,
            mark=lambda employee: employee.id,
        )
        return PersonPage(items=[PersonDocument.model_validate(employee) for employee in part], next=following)

    @operation("GET", "/people/{person}", summary="One person", **READ)
    async def person(self, call: Call[PersonPath, Nothing, Nothing]) -> PersonDocument:
        return PersonDocument.model_validate(self._found(call.path))

    @operation("GET", "/people/{person}/presence", summary="Is this person in", **READ)
    async def presence(self, call: Call[PersonPath, Nothing, Nothing]) -> PresenceDocument:
        return PresenceDocument(is_in=self._people.is_in(self._found(call.path)))

    @operation(
        "PUT",
        "/people/{person}/presence",
        summary="Say whether this person is in",
        scope="people:write",
        roles={"front_line", "it"},
        is_personal=True,
    )
    async def set_presence(self, call: Call[PersonPath, Nothing, Presence]) -> PresenceDocument:
        employee = self._found(call.path)
        await self._directory.set_presence(employee, is_in=call.body.is_in, actor=call.caller.name)
        return PresenceDocument(is_in=self._people.is_in(employee))

    @operation(
        "GET", "/directory", summary="How current the people are", scope="directory:read", roles={"front_line", "it"}
    )
    async def directory(self, _call: Call[Nothing, Nothing, Nothing]) -> DirectoryDocument:
        return self._document()

    @operation(
        "POST",
        "/directory/read",
        summary="Read the directory anew; it is done in the background",
        scope="directory:write",
        roles={"it"},
        status=202,
    )
    async def read(self, call: Call[Nothing, Nothing, Reading]) -> DirectoryDocument:
        self._directory.request_read(accept_loss=call.body.accept_loss)
        return self._document()

    def _document(self) -> DirectoryDocument:
        directory = self._directory
        return DirectoryDocument(people=len(self._people), read_at=directory.read_at, problem=directory.problem)

    def _found(self, path: PersonPath) -> Employee:
        return found(self._people.get(path.person), "such person")
