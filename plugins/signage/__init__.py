"""The screens: opening hours, who is in, and notices, published as one retained programme for each screen."""

from devices.contract import screen
from devices.contract.enrolment import Enrolment
from hub.plugin import N_, Context, hookimpl
from hub.plugin.hooks import Health, HeldData, MenuEntry, MirroredDevice
from plugins.signage.api import ScreenApi
from plugins.signage.config import Settings
from plugins.signage.home_assistant import mirrored_screens, order_screen
from plugins.signage.service import END, Signage
from plugins.signage.web import ScreenPages

__all__ = ["Plugin"]

kommunevert_api = "2.0"


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.signage = Signage(context)
        del settings  # it has none

    async def start(self) -> None:
        self.context.speaks(screen.CHANNELS)
        self.context.drives(screen.KIND, N_("Screen"), page="/screen", subject="screens")
        self.context.on_due(END, self.signage.end)
        await self.signage.schedule_ends()
        ScreenPages(self.context, self.signage)
        self.context.api.offer(ScreenApi(self.context, self.signage))

    @hookimpl
    async def project(self) -> None:
        await self.signage.publish()

    @hookimpl
    async def opening_changed(self) -> None:
        await self.signage.publish()

    @hookimpl
    async def presence_changed(self) -> None:
        await self.signage.publish()

    @hookimpl
    async def slides_changed(self) -> None:
        await self.signage.publish()

    @hookimpl
    async def enrolled(self, enrolment: Enrolment) -> None:
        if enrolment.kind == screen.KIND:
            await self.signage.publish(enrolment.device)

    @hookimpl
    async def mirrored(self) -> list[MirroredDevice]:
        return await mirrored_screens(self.context, self.signage)

    @hookimpl
    async def order_mirrored(self, device: str, key: str, order: str, actor: str) -> bool | None:
        return await order_screen(self.context, self.signage, device, key, order, actor)

    @hookimpl
    async def health(self) -> Health:
        return Health(self.signage.problem)

    @hookimpl
    async def held_data(self) -> list[HeldData]:
        return [await self.signage.held()]

    @hookimpl
    async def pages(self) -> list[MenuEntry]:
        return [MenuEntry("/screens", N_("Screens"), frozenset({"front_line", "it"}), 40)]
