"""Doors: their state and its age, and opening one by the full exchange (docs/mqtt.md, doors)."""

from devices.contract import door
from devices.contract.enrolment import Enrolment
from hub.hookspecs import Health, HeldData, Page, Shown
from hub.plugin import N_, Context, hookimpl
from plugins.locks.api import DoorApi
from plugins.locks.config import Settings
from plugins.locks.elsewhere import door_told, doors_shown
from plugins.locks.enrolling import enrol_door
from plugins.locks.mqtt import Doors
from plugins.locks.service import Locks
from plugins.locks.signing import Signer
from plugins.locks.web import DoorPages

__all__ = ["Plugin"]

kommunevert_api = "1.1"


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.settings = settings
        self.signer = Signer(context.data / "keys", str(context.store.engine.url.render_as_string(hide_password=False)))
        self.doors = Doors(context)
        self.locks = Locks(context, settings, self.signer, self.doors)

    async def start(self) -> None:
        await self.locks.load()
        self.context.run("signer", self.signer.run)
        self.context.run("end leftovers", self.locks.end_leftovers)
        self.context.run("forget", self.locks.forget_again_and_again)
        self.doors.listen(self.locks)
        DoorPages(self.context, self.settings, self.locks)
        DoorApi(self.context, self.settings, self.locks)

    @hookimpl
    async def enrolled(self, enrolment: Enrolment) -> Enrolment | None:
        if enrolment.kind != door.KIND:
            return None
        complete = await enrol_door(self.context, self.signer, enrolment)
        await self.locks.load()
        return complete

    @hookimpl
    async def devices_changed(self) -> None:
        await self.locks.load()

    @hookimpl
    async def project(self) -> None:
        self.doors.clear_retained()

    @hookimpl
    async def shown(self) -> list[Shown]:
        return doors_shown(self.context, self.locks, self.settings.may_open)

    @hookimpl
    async def told(self, device: str, key: str, order: str, actor: str) -> bool | None:
        return await door_told(self.locks, device, key, order, actor)

    @hookimpl
    async def health(self) -> Health:
        return Health(self.signer.problem, {N_("doors"): len(self.context.devices.of_kind(door.KIND))})

    @hookimpl
    async def held_data(self) -> list[HeldData]:
        days = f"{self.settings.keep_days:g}"
        count = await self.locks.count_commands()
        return [HeldData(N_("who opened which door"), count, N_("%(days)s days"), values={"days": days})]

    @hookimpl
    async def pages(self) -> list[Page]:
        return [Page("/doors", N_("Doors"), frozenset({"caretaker", "front_line", "it"}), 30)]
