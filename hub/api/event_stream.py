"""`GET /api/v1/events`: what happens, as server-sent events, without a gap across a lost connection.

Each event has the number of its row in the event table as `id:`. A browser's EventSource, and any client that keeps to
the standard, sends the last one again as `Last-Event-ID`, and gets what came after it from the table.
"""

import asyncio
from typing import Any

import orjson
from aiohttp import hdrs, web
from pydantic import Field

from hub.api.operations import Call, Nothing, Query, stream
from hub.store.events import Event, Events
from hub.web.problems import ProblemError
from hub.web.standing import Standing

QUIET_SECONDS = 15
MOST_STREAMS = 100
STOP_SECONDS = 2
LAST_EVENT_ID = "Last-Event-ID"


class EventQuery(Query):
    kind: str | None = Field(
        default=None, pattern=r"^[a-z0-9_.-]{1,60}$", description="only these: `checkin.arrived`, or all of `checkin.`"
    )
    after: int | None = Field(
        default=None, ge=0, le=2**53, description="begin after this event, where no Last-Event-ID can be sent"
    )


class EventStream:
    def __init__(self, events: Events, standing: Standing) -> None:
        self._events = events
        self._standing = standing
        self._open: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """End all streams; who listens comes again, and misses nothing."""
        ending = set(self._open)
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending, timeout=STOP_SECONDS)

    @stream(
        "/events",
        summary="What happens, as server-sent events",
        scope="events:read",
        roles={"front_line", "caretaker", "it"},
    )
    async def serve(self, request: web.Request, call: Call[Nothing, EventQuery, Nothing]) -> web.StreamResponse:
        if len(self._open) >= MOST_STREAMS:
            raise ProblemError("too-many-requests", "Too many streams are open.", headers={hdrs.RETRY_AFTER: "30"})
        last = _last(request, call.query)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a handler runs in one)
        self._open.add(task)
        try:
            return await self._stream(request, call.query.kind or "", last)
        finally:
            self._open.discard(task)

    async def _stream(self, request: web.Request, kind: str, last: int | None) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        with self._events.watched() as ring:  # before the first look, so that nothing falls between
            first, newest = await self._events.span()
            place = newest if last is None else last
            await answer.prepare(request)
            if last is not None and (last > newest or last < first - 1):
                place = newest if last > newest else first - 1
                await answer.write(_gap(place))
            await answer.write(f"retry: 1000\nid: {place}\nevent: hello\ndata: {{}}\n\n".encode())
            try:
                stands = self._standing.of(request)
                while await stands():
                    ring.clear()
                    if found := await self._events.after(place):
                        place = found[-1].id
                        await answer.write(b"".join(_written(one) for one in found if one.kind.startswith(kind)))
                    else:
                        await self._wait(request, ring, answer)
                return answer
            except ConnectionResetError:
                return answer

    async def _wait(self, request: web.Request, ring: asyncio.Event, answer: web.StreamResponse) -> None:
        """Raises ConnectionResetError when the listener has gone: nobody else tells of it in a silence."""
        for _ in range(QUIET_SECONDS):
            try:
                async with asyncio.timeout(1):
                    await ring.wait()
                return
            except TimeoutError:
                if request.transport is None:
                    raise ConnectionResetError from None
        await answer.write(b": still here\n\n")


def _last(request: web.Request, query: EventQuery) -> int | None:
    """Raises the problem malformed."""
    sent = request.headers.get(LAST_EVENT_ID)
    if sent is None:
        return query.after
    if not sent.isascii() or not sent.isdecimal() or len(sent) > 15:  # noqa: PLR2004
        raise ProblemError("malformed", "A Last-Event-ID is a number that came as `id:`.")
    return int(sent)


def _gap(place: int) -> bytes:
    """Events are kept for a week: who was away for longer is told that some are gone, and reads the rest anew."""
    return f"id: {place}\nevent: gap\ndata: {{}}\n\n".encode()


def _written(one: Event) -> bytes:
    data = orjson.dumps({"kind": one.kind, "subject": one.subject, "happened_at": one.happened_at, "data": one.data})
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (one.id, one.kind.encode(), data)
