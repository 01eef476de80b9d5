"""Never stops."""

import asyncio

from hub.plugin import Context, PluginSettings, hookimpl


class Settings(PluginSettings):
    pass


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context

    async def start(self):
        self.context.run("endless", self.endless)
        self.context.run("restless", self.restless)

    async def stop(self):
        await self.endless()

    async def endless(self):
        while not (self.context.data / "go").exists():
            await asyncio.sleep(0.02)
        while True:
            try:
                await asyncio.sleep(3600)
            except BaseException:
                pass

    async def restless(self):
        while True:
            try:
                await asyncio.sleep(0)
                await asyncio.sleep(0.01)
            except BaseException:
                pass

    async def never(self, answer):
        if (self.context.data / "go").exists():
            await self.endless()
        return answer

    @hookimpl
    async def host(self, person_id):
        return await self.never(None)

    @hookimpl
    async def can_reach(self, person):
        return await self.never(None)

    @hookimpl
    async def find_hosts(self, text, limit):
        return await self.never([])

    @hookimpl
    async def deliver(self, message):
        return await self.never(False)
