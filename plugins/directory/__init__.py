"""Employees from the municipality's directory: units, phones and tasks, and whether they are in."""

import asyncio
from urllib.parse import quote

from hub.plugin import N_, Context, NotYetError, PersonIds, Remark, hookimpl
from hub.plugin.hooks import Finding, Health, HeldData, Login, MenuEntry, Role
from plugins.directory.api import PeopleApi
from plugins.directory.checking import check_source
from plugins.directory.config import Settings
from plugins.directory.contract import Person, Presence, presence_changed
from plugins.directory.people import People
from plugins.directory.service import Directory
from plugins.directory.source import source_for
from plugins.directory.web import PeoplePages

__all__ = ["Plugin"]

kommunevert_api = "2.0"
FINDER_ROLES: frozenset[Role] = frozenset({"front_line", "it"})


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.settings = settings
        ids = PersonIds.load(context.data)
        self.people = People(settings, context.site.zone, ids)
        self.directory = Directory(context, settings, self.people, source_for(settings), ids)

    @staticmethod
    async def look_over(settings: Settings, *, trying: bool) -> list[Remark]:
        return await asyncio.to_thread(check_source, settings, trying=trying)

    async def start(self) -> None:
        await self.directory.load()
        self.context.run("read the directory", self.directory.read_periodically)
        PeoplePages(self.context, self.directory, self.people)
        self.context.api.offer(PeopleApi(self.directory, self.people))

    async def stop(self) -> None:
        self.directory.close()

    @hookimpl
    async def find_hosts(self, text: str, limit: int, device: str | None) -> list[Person]:
        if device is not None and self.people.is_canary(text):
            await self.directory.record_canary(device)
        return self.people.hosts(text, limit)

    @hookimpl
    async def find(self, text: str, limit: int) -> list[Finding]:
        return [
            Finding(
                person.name,
                f"/people?q={quote(person.name)}",
                " · ".join(filter(None, (person.title, person.unit))),
                FINDER_ROLES,
            )
            for person in self.people.search(text)[:limit]
        ]

    @hookimpl
    async def host(self, person_id: str) -> Person | None:
        found = self.people.host(person_id)
        if found is None and self.directory.read_at is None:
            raise NotYetError("the directory has never been read")
        return found

    @hookimpl
    async def employees(self) -> list[Person]:
        if self.directory.read_at is None:
            raise NotYetError("the directory has never been read")
        return [employee.public for employee in self.people]

    @hookimpl
    async def presences(self) -> list[Presence]:
        return self.people.board()

    @hookimpl
    async def authenticate(self, name: str, password: str) -> Login | None:
        return await self.directory.authenticate(name, password)

    @hookimpl
    async def login_now(self, name: str) -> Login | None:
        return await self.directory.login_now(name)

    @hookimpl
    async def project(self) -> None:
        await self.context.hooks.all(presence_changed)

    @hookimpl
    async def health(self) -> Health:
        return self.directory.health()

    @hookimpl
    async def held_data(self) -> list[HeldData]:
        return [HeldData(N_("employees"), len(self.people), N_("as long as they stand in the directory"))]

    @hookimpl
    async def pages(self) -> list[MenuEntry]:
        return [MenuEntry("/people", N_("People"), frozenset({"front_line", "it"}), 20)]
