"""Starts tasks and forgets them."""

import asyncio

from hub.plugin import Context, PluginSettings, hookimpl


class Settings(PluginSettings):
    pass


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.alive = 0

    async def start(self):
        self.context.run("leak", self.leak)

    async def leak(self):
        while not (self.context.data / "go").exists():
            await asyncio.sleep(0.02)
        while True:
            asyncio.create_task(self.stubborn())
            asyncio.create_task(self.failing())
            await asyncio.sleep(0)

    async def stubborn(self):
        self.alive += 1
        while True:
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                asyncio.create_task(self.failing())

    async def failing(self):
        raise RuntimeError("hostile")

    @hookimpl
    async def can_reach(self, person):
        asyncio.create_task(self.stubborn())
        return None
