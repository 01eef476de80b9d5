"""Raises wherever the hub calls it."""

import asyncio

from hub.plugin.hooks import Health, MenuEntry
from hub.plugin import Context, PluginSettings, hookimpl


class Settings(PluginSettings):
    pass


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context

    async def start(self):
        self.context.run("raise", self.job)
        self.context.run("exit", self.leave)
        self.context.pages.public("GET", "/raises", self.page)

    async def job(self):
        while not (self.context.data / "go").exists():
            await asyncio.sleep(0.02)
        raise RuntimeError("hostile")

    async def leave(self):
        while not (self.context.data / "go").exists():
            await asyncio.sleep(0.02)
        raise SystemExit(3)

    async def page(self, request):
        raise KeyboardInterrupt

    async def stop(self):
        raise RuntimeError("hostile to the end")

    @hookimpl
    async def host(self, person_id):
        raise RuntimeError("hostile")

    @hookimpl
    async def can_reach(self, person):
        raise SystemExit(1)

    @hookimpl
    async def find_hosts(self, text, limit):
        raise asyncio.CancelledError

    @hookimpl
    async def deliver(self, message):
        raise RuntimeError("hostile")

    @hookimpl
    async def message_delivered(self, message_id, sent):
        raise RuntimeError("hostile")

    @hookimpl
    async def present(self):
        return ["nobody", 7]

    @hookimpl
    async def health(self):
        return Health(figures={"things": object()})

    @hookimpl
    async def pages(self):
        return [MenuEntry("/raises", 42, {"it"})]

    @hookimpl
    async def held_data(self):
        raise GeneratorExit
