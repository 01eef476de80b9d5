"""A kiosk for tests, made of the contract alone: it says what a tablet says and hears what a tablet hears."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar

from devices.contract import kiosk
from devices.contract.enrolment import Enrolment
from devices.contract.payload import Payload, new_id
from devices.contract.topics import topic
from devices.wire.connection import Address, Received, Wire
from tests.patience import PATIENCE_SECONDS

M = TypeVar("M", bound=Payload)
MODELS: dict[str, type[Payload]] = {
    "found": kiosk.Found,
    "receipt": kiosk.Receipt,
    "answer": kiosk.HostAnswer,
    "told": kiosk.Told,
    "offer": kiosk.Offer,
}


class KioskClient:
    def __init__(self, enrolment: Enrolment) -> None:
        self.enrolment = enrolment
        self.heard: list[tuple[str, Payload]] = []
        self.wire = Wire(
            Address(enrolment.host, enrolment.port, enrolment.device, enrolment.secret), on_message=self._take
        )
        self.wire.subscribe(self._topic("down", "#"))
        self._news = asyncio.Event()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["KioskClient"]:
        running = asyncio.create_task(self.wire.run())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.wire.until_connected()
            yield self
        finally:
            running.cancel()
            await asyncio.wait({running})

    def say(self, what: str, message: Payload | bytes, *, retain: bool = False) -> None:
        payload = message if isinstance(message, bytes) else message.encoded()
        self.wire.publish(self._topic("up", what), payload, retain=retain)

    async def hear(self, model: type[M], *, of: str | None = None, seconds: float = PATIENCE_SECONDS) -> M:
        """The first message of this kind, heard already or yet to come; `of` is the id that it is about."""
        async with asyncio.timeout(seconds):
            while True:
                self._news.clear()
                for _, message in self.heard:
                    if isinstance(message, model) and (of is None or of in message.model_dump().values()):
                        return message
                await self._news.wait()

    async def search(self, text: str) -> kiosk.Found:
        search = kiosk.Search(id=new_id(), text=text)
        self.say("search", search)
        return await self.hear(kiosk.Found, of=search.id)

    async def register(self, host: str, visitor: str = "Ola Besøk", visit_id: str | None = None) -> kiosk.Receipt:
        visit = a_visit(host, visitor, visit_id)
        self.say("visit", visit)
        return await self.hear(kiosk.Receipt, of=visit.id)

    def receipts(self, of: str) -> list[kiosk.Receipt]:
        return [message for _, message in self.heard if isinstance(message, kiosk.Receipt) and message.of == of]

    def _topic(self, direction: str, what: str) -> str:
        one = self.enrolment
        return topic(one.root, one.site, one.kind, one.device, direction, what)  # type: ignore[arg-type]

    def _take(self, received: Received) -> None:
        what = received.topic.rsplit("/", 1)[1]
        self.heard.append((what, MODELS[what].model_validate_json(received.payload)))
        self.wire.acknowledge(received)
        self._news.set()


def a_visit(host: str, visitor: str = "Ola Besøk", visit_id: str | None = None) -> kiosk.Visit:
    return kiosk.Visit(id=visit_id or new_id(), host=host, visitor=visitor, language="nn", arrived_at=datetime.now(UTC))
