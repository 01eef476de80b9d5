"""People, whether they are in, and reading the directory anew, for programs."""

from datetime import datetime
from typing import Any

from pydantic import Field

from devices.contract.messages import Id
from hub.api.operations import Call, Document, Nothing, Page, PageQuery, Query, Request, found, page_of
from hub.plugin import Context
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


class PeopleApi:
    def __init__(self, context: Context, directory: Directory, people: People) -> None:
        self._directory = directory
        self._people = people
        api = context.api
        look: dict[str, Any] = {"scope": "people:read", "roles": {"front_line", "it"}, "is_personal": True}
        one: dict[str, Any] = {"parameters": PersonPath}
        api.offer("GET", "/people", self.people, summary="People", answer=PersonPage, query=PeopleQuery, **look)
        api.offer("GET", "/people/{person}", self.person, summary="One person", answer=PersonDocument, **one, **look)
        api.offer(
            "GET",
            "/people/{person}/presence",
            self.presence,
            summary="Is this person in",
            answer=PresenceDocument,
            **one,
            **look,
        )
        api.offer(
            "PUT",
            "/people/{person}/presence",
            self.set_presence,
            summary="Say whether this person is in",
            scope="people:write",
            roles={"front_line", "it"},
            answer=PresenceDocument,
            body=Presence,
            is_personal=True,
            **one,
        )
        api.offer(
            "GET",
            "/directory",
            self.directory,
            summary="How current the people are",
            scope="directory:read",
            roles={"front_line", "it"},
            answer=DirectoryDocument,
        )
        api.offer(
            "POST",
            "/directory/read",
            self.read,
            summary="Read the directory anew; it is done in the background",
            scope="directory:write",
            roles={"it"},
            answer=DirectoryDocument,
            body=Reading,
            status=202,
        )

    async def people(self, call: Call[Nothing, PeopleQuery, Nothing]) -> PersonPage:
        matching = self._people.search(call.query.q)
        part, following = page_of(
            matching, lambda one: f"{' '.join(one.words)} {one.id}", call.query, mark=lambda one: one.id
        )
        return PersonPage(items=[PersonDocument.model_validate(one) for one in part], next=following)

    async def person(self, call: Call[PersonPath, Nothing, Nothing]) -> PersonDocument:
        return PersonDocument.model_validate(self._found(call.path))

    async def presence(self, call: Call[PersonPath, Nothing, Nothing]) -> PresenceDocument:
        return PresenceDocument(is_in=self._people.is_in(self._found(call.path)))

    async def set_presence(self, call: Call[PersonPath, Nothing, Presence]) -> PresenceDocument:
        employee = self._found(call.path)
        await self._directory.set_presence(employee, is_in=call.body.is_in, actor=call.caller.name)
        return PresenceDocument(is_in=self._people.is_in(employee))

    async def directory(self, _call: Call[Nothing, Nothing, Nothing]) -> DirectoryDocument:
        return self._document()

    async def read(self, call: Call[Nothing, Nothing, Reading]) -> DirectoryDocument:
        self._directory.read_soon(accept_loss=call.body.accept_loss)
        return self._document()

    def _document(self) -> DirectoryDocument:
        directory = self._directory
        return DirectoryDocument(people=len(self._people), read_at=directory.read_at, problem=directory.problem)

    def _found(self, path: PersonPath) -> Employee:
        return found(self._people.get(path.person), "such person")
