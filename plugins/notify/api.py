"""The outbox, for programs: what has still to be sent. Never a text, a name or an address."""

from datetime import datetime

from pydantic import Field

from hub.plugin.api import Call, Document, Nothing, Page, PageQuery, operation, page_of
from plugins.notify.service import Notices


class OutboxDocument(Document):
    """A message on its way by one channel."""

    message: str
    channel: str
    made_at: datetime
    next_at: datetime
    tries: int
    sent_at: datetime | None
    given_up_at: datetime | None
    problem: str | None = Field(description="why it has not gone, without addresses")


class OutboxPage(Page[OutboxDocument]):
    """Messages that are not forgotten yet, the newest first."""


class OutboxApi:
    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    @operation("GET", "/outbox", summary="Messages, and how far they have come", scope="messages:read", roles={"it"})
    async def outbox(self, call: Call[Nothing, PageQuery, Nothing]) -> OutboxPage:
        part, following = page_of(
            await self._notices.outbox(),
            lambda entry: f"{entry.made_at.isoformat(timespec='microseconds')} {entry.message} {entry.channel}",
            call.query,
            newest_first=True,
        )
        return OutboxPage(items=[OutboxDocument.model_validate(entry) for entry in part], next=following)
