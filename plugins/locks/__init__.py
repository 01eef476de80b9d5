"""Doors: their state and its age, and opening one by the full exchange (docs/mqtt.md, doors)."""

from datetime import timedelta

from devices.contract import door
from devices.contract.enrolment import Enrolment
from hub.plugin import N_, Context, Every, Remark, hookimpl
from hub.plugin.hooks import Health, HeldData, MenuEntry, MirroredDevice, Role
from plugins.locks.api.access import AccessApi
from plugins.locks.api.doors import DoorApi
from plugins.locks.api.hub_keys import HubKeyApi
from plugins.locks.api.plans import PlanApi
from plugins.locks.api.rules import RuleApi
from plugins.locks.api.settings import SettingsApi
from plugins.locks.config import Settings
from plugins.locks.doors.mqtt import DoorTopics
from plugins.locks.doors.states import DoorStates
from plugins.locks.history.alarms import Alarms
from plugins.locks.history.found import FoundLocks, needed
from plugins.locks.history.log import Log
from plugins.locks.history.reports import Reports
from plugins.locks.operating.access_requests import AccessRequests
from plugins.locks.operating.dispatch import Dispatcher
from plugins.locks.operating.home_assistant import mirrored_doors, order_door
from plugins.locks.operating.lockdowns import Lockdowns
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import Permissions, zones_to_compare
from plugins.locks.plans import Plans
from plugins.locks.rules import groups
from plugins.locks.rules.access import Access
from plugins.locks.rules.inside import Inside
from plugins.locks.rules.keys import credential_key
from plugins.locks.trust.enrolling import enrol_door
from plugins.locks.trust.hub_keys import HubKeys
from plugins.locks.trust.lists import Lists
from plugins.locks.trust.passes import Passes
from plugins.locks.trust.signing import Signer
from plugins.locks.web.door import DoorPage
from plugins.locks.web.doors import DoorPages
from plugins.locks.web.hub_keys import HubKeyPages
from plugins.locks.web.keys import KeyPages
from plugins.locks.web.passages import PassagePages
from plugins.locks.web.passes import PassPages
from plugins.locks.web.plans import PlanPages
from plugins.locks.web.rules import RulePages

__all__ = ["Plugin"]

kommunevert_api = "2.0"


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.settings = settings
        self.signer = Signer(context.data / "keys", str(context.store.engine.url.render_as_string(hide_password=False)))
        self.doors = DoorTopics(context)
        self.states = DoorStates(context)
        self.permissions = Permissions(settings.may)
        self.alarms = Alarms(context, settings)
        self.reports = Reports(context, self.alarms)
        self.access = Access(context, settings, credential_key(context.data / "keys"))
        self.hub_keys = HubKeys(context, self.signer, self.access, self.states)
        self.locks = Locks(context, settings, self.access, self.hub_keys, self.doors, self.states)
        self.plans = Plans(context)
        self.found = FoundLocks(context, self.alarms)
        self.log = Log(context, self.access)
        self.lists = Lists(context, self.access, self.hub_keys, self.doors, self.states)
        self.lockdowns = Lockdowns(context, self.access, self.locks)
        self.passes = Passes(context, self.access, self.hub_keys)
        self.inside = Inside(context, settings, self.access)
        self.access_requests = AccessRequests(
            context, self.access, self.hub_keys, self.doors, self.states, self.alarms, self.passes, self.inside
        )

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
        doors = DoorPages(
            self.context,
            self.access,
            self.locks,
            self.states,
            self.lockdowns,
            self.alarms,
            self.found,
            self.permissions,
        )
        RulePages(self.context, self.access)
        KeyPages(self.context, self.settings, self.access, self.access_requests, self.inside)
        PassagePages(self.context, self.settings, self.access, self.log, doors)
        HubKeyPages(self.context, self.hub_keys)
        PassPages(self.context, self.access, self.passes, self.permissions)
        PlanPages(self.context, self.plans, self.locks, doors)
        DoorPage(self.context, self.settings, self.access, self.locks, self.alarms, self.log, doors, self.inside)
        self.context.api.offer(
            AccessApi(self.context, self.access, self.locks, self.lockdowns, self.permissions, self.inside),
            RuleApi(self.context, self.access),
            SettingsApi(self.context, self.access),
            PlanApi(self.context, self.plans),
            HubKeyApi(self.hub_keys),
            DoorApi(
                self.context, self.permissions, self.settings.may_search_people, self.locks, self.states, self.alarms
            ),
        )

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
