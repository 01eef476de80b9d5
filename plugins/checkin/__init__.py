"""Visitors: they find their host at the kiosk, register, are received, and leave. Or are just shown the way."""

from devices.contract import kiosk
from devices.contract.enrolment import Enrolment
from hub.plugin import N_, Context, hookimpl
from hub.plugin.hooks import Health, HeldData, MenuEntry
from plugins.checkin.api import VisitApi
from plugins.checkin.config import Settings
from plugins.checkin.contract import Present
from plugins.checkin.mqtt import Kiosks
from plugins.checkin.service import Visits
from plugins.checkin.web import VisitPages
from plugins.notify.contract import Answer, MessageState

__all__ = ["Plugin"]

kommunevert_api = "2.0"


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.visits = Visits(context, settings)
        self.kiosks = Kiosks(context, settings, self.visits)

    async def start(self) -> None:
        self.context.drives(kiosk.KIND, N_("Kiosk"), page="/kiosk")
        VisitPages(self.context, self.visits, self.kiosks)
        self.context.api.offer(VisitApi(self.context, self.visits))
        self.kiosks.listen()
        await self.context.follow("arrived", self.visits.notify_hosts)
        await self.context.follow("answered", self.kiosks.send_answers)
        await self.context.follow("forgotten", self.visits.forget_messages)
        self.context.run("show answers again", self.kiosks.resend_answers)
        self.context.run("end the day", self.visits.end_days)
        self.context.run("keep the evacuation list", self.visits.inside.keep_current)

    @hookimpl
    async def message_answered(self, message_id: str, answer: Answer) -> None:
        await self.visits.record_answer(message_id, answer)

    @hookimpl
    async def message_delivered(self, message_id: str, sent: bool) -> None:
        await self.visits.record_delivery(message_id, sent=sent)

    @hookimpl
    async def message_state(self, message_id: str) -> MessageState | None:
        return await self.visits.message_state(message_id)

    @hookimpl
    async def present(self) -> list[Present]:
        return await self.visits.present()

    @hookimpl
    async def project(self) -> None:
        await self.kiosks.publish_offer()

    @hookimpl
    async def opening_changed(self) -> None:
        await self.kiosks.publish_offer()

    @hookimpl
    async def enrolled(self, enrolment: Enrolment) -> None:
        if enrolment.kind == kiosk.KIND:
            await self.kiosks.publish_offer(enrolment.device)

    @hookimpl
    async def health(self) -> Health:
        over_limit = ", ".join(device.id for device in self.kiosks.over_limit())
        enumerated = ", ".join(device.id for device in self.kiosks.enumerated())
        problems = [f"more visits than a kiosk may send: {over_limit}"] if over_limit else []
        problems += [f"somebody goes through the names of employees: {enumerated}"] if enumerated else []
        return Health(
            "; ".join(problems) or None, figures={N_("visitors in the building"): await self.visits.count_inside()}
        )

    @hookimpl
    async def held_data(self) -> list[HeldData]:
        return [await self.visits.held()]

    @hookimpl
    async def pages(self) -> list[MenuEntry]:
        return [MenuEntry("/visits", N_("Visits"), frozenset({"front_line"}), 10)]
