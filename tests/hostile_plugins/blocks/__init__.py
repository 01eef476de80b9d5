"""Holds the loop for ten seconds."""

import asyncio
import socket
import time

from hub.plugin import Context, PluginSettings, hookimpl

SECONDS = 10


class Settings(PluginSettings):
    pass


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.asked = 0

    async def start(self):
        self.context.run("sleep", self.sleeping)
        self.context.run("compute", self.computing)
        self.context.run("later", self.later)

    async def until_go(self):
        while not (self.context.data / "go").exists():
            await asyncio.sleep(0.02)

    async def sleeping(self):
        await self.until_go()
        await asyncio.sleep(0.3)
        time.sleep(SECONDS)

    async def computing(self):
        await self.until_go()
        await asyncio.sleep(0.6)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            sum(range(100))

    async def later(self):
        await self.until_go()
        asyncio.get_running_loop().call_later(0.9, self.callback)

    def callback(self):
        time.sleep(SECONDS)

    @hookimpl
    async def can_reach(self, person):
        if (self.context.data / "go").exists():
            one, other = socket.socketpair()
            with one, other:
                one.settimeout(SECONDS)
                one.recv(1)
