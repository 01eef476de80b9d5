"""`GET /api/v1/events`: server-sent events, without a gap after a lost connection.

Each event has the number of its row in the event table as `id:`. A browser's EventSource, and any client that follows
the standard, sends the last one as `Last-Event-ID` when it reconnects, and gets the events after it.
"""

import asyncio
from typing import Any

import orjson
from aiohttp import hdrs, web
from pydantic import Field

from hub.api.operations import Call, Nothing, Query, stream
from hub.store.events import Event, Events
from hub.web.problems import ProblemError
from hub.web.stream_access import StreamAccess

KEEPALIVE_SECONDS = 15
MAX_STREAMS = 100
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
    def __init__(self, events: Events, access: StreamAccess) -> None:
        self._events = events
        self._access = access
        self._open: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """End all streams; clients reconnect and miss nothing."""
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
        if len(self._open) >= MAX_STREAMS:
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
        with self._events.watched() as wake:  # before the first read, so that no event is missed
            first, newest = await self._events.span()
            position = newest if last is None else last
            await answer.prepare(request)
            if last is not None and (last > newest or last < first - 1):
                position = newest if last > newest else first - 1
                await answer.write(_gap_event(position))
            await answer.write(f"retry: 1000\nid: {position}\nevent: hello\ndata: {{}}\n\n".encode())
            try:
                is_allowed = self._access.of(request)
                while await is_allowed():
                    wake.clear()
                    if events := await self._events.after(position):
                        position = events[-1].id
                        await answer.write(b"".join(_encoded(event) for event in events if event.kind.startswith(kind)))
                    else:
                        await self._wait(request, wake, answer)
                return answer
            except ConnectionResetError:
                return answer

    async def _wait(self, request: web.Request, wake: asyncio.Event, answer: web.StreamResponse) -> None:
        """Wait for events.

        Raises ConnectionResetError if the client has disconnected, which is otherwise not noticed.
        """
        for _ in range(KEEPALIVE_SECONDS):
            try:
                async with asyncio.timeout(1):
                    await wake.wait()
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


def _gap_event(position: int) -> bytes:
    """Sent to a client that was away for longer than events are kept, so that it reads everything again."""
    return f"id: {position}\nevent: gap\ndata: {{}}\n\n".encode()


def _encoded(event: Event) -> bytes:
    data = orjson.dumps(
        {"kind": event.kind, "subject": event.subject, "happened_at": event.happened_at, "data": event.data}
    )
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.kind.encode(), data)
