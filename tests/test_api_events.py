"""`/api/v1/events`: everything that happens, once and in order, also across lost connections."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from sqlalchemy import delete

from hub.hub import Hub
from hub.store.tables import event
from tests.api_client import program
from tests.conftest import until
from tests.patience import PATIENCE_SECONDS


class Stream:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.last = ""

    def seen(self, kind: str) -> list[int]:
        return [json.loads(one["data"])["data"]["n"] for one in self.events if one["event"] == kind]

    @asynccontextmanager
    async def open(self, api: aiohttp.ClientSession, path: str = "events") -> AsyncIterator[None]:
        """As an EventSource: the last id goes along when it comes again."""
        headers = {"Last-Event-ID": self.last} if self.last else {}
        before = len(self.events)
        async with api.get(path, headers=headers) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            reading = asyncio.create_task(self._read(answer))
            await until(lambda: len(self.events) > before)
            try:
                yield
            finally:
                reading.cancel()
                await asyncio.wait({reading})

    async def _read(self, answer: aiohttp.ClientResponse) -> None:
        fields: dict[str, str] = {}
        async for line in answer.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif fields:
                self.last = fields.get("id", self.last)
                if "event" in fields:
                    self.events.append(fields)
                fields = {}


async def happen(hub: Hub, *numbers: int, kind: str = "test.it") -> None:
    for number in numbers:
        await hub.store.write(lambda connection, n=number: hub.events.emit(connection, kind, ["x"], n=n))  # type: ignore[misc]


async def test_nothing_is_missed_and_nothing_comes_twice_across_lost_connections(hub: Hub) -> None:
    await happen(hub, 0)
    stream = Stream()
    count = 400

    async def write() -> None:
        for number in range(1, count + 1):
            await happen(hub, number)

    async with program(hub, "events:read") as api:
        async with stream.open(api):
            pass
        writing = asyncio.create_task(write())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(stream.seen("test.it")) < count:
                    already = len(stream.events)
                    async with stream.open(api):
                        await until(lambda at=already: len(stream.events) > at + 40 or writing.done())  # type: ignore[misc]
        finally:
            await writing
    assert stream.seen("test.it") == list(range(1, count + 1))  # 0 was before it came


async def test_a_kind_and_a_beginning_can_be_asked_for(hub: Hub) -> None:
    await happen(hub, 1, 2, kind="test.one")
    await happen(hub, 3, kind="other.one")
    stream = Stream()
    async with program(hub, "events:read") as api, stream.open(api, "events?after=0&kind=test."):
        await happen(hub, 4, kind="test.two")
        await until(lambda: stream.seen("test.two") == [4])
    assert [one["event"] for one in stream.events if "." in one["event"]] == ["test.one", "test.one", "test.two"]


async def test_who_was_away_too_long_is_told_of_the_gap(hub: Hub) -> None:
    await happen(hub, *range(1, 5))
    await hub.store.write(lambda connection: connection.execute(delete(event).where(event.c.id <= 2)))
    stream = Stream()
    stream.last = "1"
    async with program(hub, "events:read") as api, stream.open(api):
        await until(lambda: stream.seen("test.it") == [3, 4])
    assert stream.events[0]["event"] == "gap"


async def test_it_is_for_those_with_the_scope_and_a_number(hub: Hub) -> None:
    for scope, status in (("devices:read", 403), ("events:read", 400)):
        async with program(hub, scope) as api, api.get("events", headers={"Last-Event-ID": "ein"}) as answer:
            assert answer.status == status
