"""Messages to people by mail and Teams, from a durable outbox, with a signed link to answer."""

from datetime import timedelta
from typing import Literal

from hub.plugin import Context, Every, Remark, hookimpl
from hub.plugin.hooks import Health, HeldData
from plugins.directory.contract import Person
from plugins.notify.api import OutboxApi
from plugins.notify.checking import check_mail
from plugins.notify.config import Settings
from plugins.notify.contract import Message
from plugins.notify.sending import Sender
from plugins.notify.service import Notices
from plugins.notify.tokens import Tokens
from plugins.notify.web import AnswerPages

__all__ = ["Plugin"]

kommunevert_api = "2.0"


class Plugin:
    settings_model = Settings

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        tokens = Tokens(context.data / "keys" / "notify.key")
        self.sender = Sender(context, settings)
        self.notices = Notices(context, settings, tokens, self.sender.added)
        self.pages = AnswerPages(context, self.notices, tokens)

    @staticmethod
    async def look_over(settings: Settings, *, trying: bool) -> list[Remark]:
        return await check_mail(settings, trying=trying)

    async def start(self) -> None:
        await self.context.follow("answered", self.notices.forward_answers)
        await self.context.follow("tried", self.notices.forward_deliveries)
        self.context.api.offer(OutboxApi(self.notices))
        self.context.run("send", self.sender.run)
        await self.context.every("delete expired", Every(timedelta(minutes=5)), self.notices.delete_expired)

    @hookimpl
    async def can_reach(self, person: Person) -> Literal[True] | None:
        return True if self.notices.can_reach(person) else None

    @hookimpl
    async def deliver(self, message: Message) -> bool:
        return await self.notices.deliver(message)

    @hookimpl
    async def forget_messages(self, message_ids: list[str]) -> None:
        await self.notices.delete(message_ids)

    @hookimpl
    async def health(self) -> Health:
        return await self.sender.health()

    @hookimpl
    async def held_data(self) -> list[HeldData]:
        return [await self.notices.held()]
