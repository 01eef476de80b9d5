"""Doors: their state and its age, and opening one by the full exchange (docs/mqtt.md, doors)."""

from datetime import timedelta

from devices.contract import door
from devices.contract.enrolment import Enrolment
from hub.plugin import N_, Every, Remark, hookimpl
from hub.plugin.hooks import Health, HeldData, MenuEntry, MirroredDevice, Role
from plugins.locks.api.operations import operations
from plugins.locks.config import Settings
from plugins.locks.history.found import needed
from plugins.locks.operating.dispatch import Dispatcher
from plugins.locks.operating.home_assistant import mirrored_doors, order_door
from plugins.locks.permissions import zones_to_compare
from plugins.locks.rules import groups
from plugins.locks.services import Services
from plugins.locks.trust.enrolling import enrol_door
from plugins.locks.web.pages import add_pages

__all__ = ["Plugin"]

kommunevert_api = "2.0"


class Plugin(Services):
    settings_model = Settings

    @staticmethod
    async def look_over(settings: Settings, *, trying: bool) -> list[Remark]:
        del trying
        return zones_to_compare(settings.may)

    async def start(self) -> None:
        self.context.drives(door.KIND, N_("Door"), program="kommunevert-door", subject="doors")
        await self.hub_keys.load()
        await self.inside.load()
        await self._load_doors()
        self.context.run("signer", self.signer.run)
        self.context.run("hub keys", self.hub_keys.watch)
        self.context.run("end leftovers", self.locks.end_open_commands)
        await self.context.every("delete expired", Every(timedelta(hours=1)), self.locks.delete_expired)
        self.context.run("lists", self.lists.run)
        self.context.run("forgive", self.inside.watch)
        self.found.watch()
        self.context.run("alarms", self.alarms.watch)
        self.context.run("silent doors", self.states.watch_silence)
        self.doors.listen(Dispatcher(self.states, self.locks, self.reports, self.access_requests))
        add_pages(self)
        self.context.api.offer(*operations(self))

    @hookimpl
    async def enrolled(self, enrolment: Enrolment) -> Enrolment | None:
        if enrolment.kind != door.KIND:
            return None
        complete = await enrol_door(self.context, self.hub_keys, enrolment)
        await self._load_doors()
        return complete

    @hookimpl
    async def devices_changed(self) -> None:
        await self._load_doors()

    async def _load_doors(self) -> None:
        if self.context.devices.of_kind(door.KIND):
            self.signer.wake()
        await self.states.load()
        await self.reports.load()
        await self.access.load()

    @hookimpl
    async def employees_changed(self) -> None:
        await self.access.refresh_employees()

    @hookimpl
    async def project(self) -> None:
        self.doors.clear_retained()
        await self.lists.republish()
        await self.access.refresh_employees()

    @hookimpl
    async def mirrored(self) -> list[MirroredDevice]:
        return mirrored_doors(self.context, self.states, self.permissions)

    @hookimpl
    async def order_mirrored(self, device: str, key: str, order: str, actor: str) -> bool | None:
        return await order_door(self.locks, device, key, order, actor)

    @hookimpl
    async def may_order(self, entity: str, verb: str, roles: frozenset[Role]) -> bool | None:
        found = self.context.entities.get(entity)
        if found is None or not self.context.opens_building(found):
            return None
        return self.permissions.may(roles, needed(found, verb), self.context.place_of(found).zone)

    @hookimpl
    async def health(self) -> Health:
        doors, book = self.context.devices.of_kind(door.KIND), self.access.rule_book
        problem = (
            self.signer.problem
            or self.lists.problem
            or self.permissions.unmatched_zones({device.where.zone for device in doors})
            or groups.ambiguity_problem(book.rules, book.groups)
        )
        return Health(problem, {N_("doors"): len(doors)})

    @hookimpl
    async def held_data(self) -> list[HeldData]:
        days = f"{self.settings.keep_days:g}"
        count = await self.locks.count_commands()
        return [HeldData(N_("who opened which door"), count, N_("%(days)s days"), values={"days": days})]

    @hookimpl
    async def pages(self) -> list[MenuEntry]:
        makers = frozenset[Role]({"caretaker", "it"})
        return [
            MenuEntry("/doors", N_("Doors"), frozenset({"caretaker", "front_line", "it"}), 30),
            MenuEntry("/access", N_("Access"), makers, 31),
            MenuEntry("/keys", N_("Keys"), makers, 32),
            MenuEntry("/passes", N_("Passes"), frozenset({"caretaker", "front_line"}), 33),
        ]
