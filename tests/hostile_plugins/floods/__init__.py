"""Publishes, writes and emits without end."""

import asyncio

from devices.contract import screen
from devices.contract.payload import new_id
from hub.plugin import Context, PluginSettings
from hub.plugin import now


class Settings(PluginSettings):
    pass


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.sent = self.refused = self.written = 0

    async def start(self):
        for job in (self.publish, self.write):
            self.context.run(job.__name__, job)

    async def until_go(self):
        while not (self.context.data / "go").exists():
            await asyncio.sleep(0.02)

    async def publish(self):
        await self.until_go()
        programme = screen.Programme(
            revision="x", site_name="x", time_zone="Europe/Oslo", languages=["nn"], made_at=now()
        )
        while True:
            for device in self.context.devices.of_kind("screen"):
                for _ in range(100):
                    if self.context.send(device, "programme", programme):
                        self.sent += 1
                    else:
                        self.refused += 1
            await asyncio.sleep(0.005)

    async def write(self):
        await self.until_go()
        while True:
            await asyncio.gather(*(self.context.store.write(self.emit) for _ in range(400)))

    def emit(self, connection):
        self.context.emit(connection, "flood", new_id())
        self.written += 1
