"""`/entities/stream`: server-sent events with the states of found devices' entities as they change."""

import asyncio
from collections.abc import Mapping

import orjson
from aiohttp import web

from hub.entities.registry import Entities
from hub.hooks.specifications import Role
from hub.web.security import SESSION
from hub.web.stream_access import StreamAccess

GATHER_SECONDS = 0.05
"""A listener needs the current state, not every change: changes within this time are merged."""
HEARTBEAT_SECONDS = 15
ROLES: frozenset[Role] = frozenset({"it", "caretaker"})


def entity_stream(entities: Entities, access: StreamAccess) -> web.RouteDef:
    """`?id=…` (again and again) for some entities; without it all. First their current states, then each change."""

    async def serve(request: web.Request) -> web.StreamResponse:
        session = request[SESSION]
        if session is None:
            raise web.HTTPUnauthorized(text="Log in first.")
        if not session.may(ROLES):
            raise web.HTTPForbidden(text="Found devices are for caretakers and IT.")
        ids = frozenset(request.query.getall("id", ()))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        watcher = entities.watch(ids=ids)
        try:
            await answer.prepare(request)
            now = {entity.id: (entity.state, entity.changed_at) for entity in entities if not ids or entity.id in ids}
            await answer.write(_encoded(now))
            is_allowed = access.of(request)
            while await is_allowed():
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        changes = await watcher.changes()
                except TimeoutError:
                    await answer.write(b": still here\n\n")
                    continue
                latest = {change.entity.id: (change.value, change.at) for change in changes}
                await answer.write(_encoded(latest))
                await asyncio.sleep(GATHER_SECONDS)
            return answer
        except ConnectionResetError:
            return answer
        finally:
            entities.unwatch(watcher)

    return web.get("/entities/stream", serve)


def _encoded(states: Mapping[str, tuple[object, float | None]]) -> bytes:
    """`{"sensor.battery": [87, 1795548564.6]}`: state (null: unknown or away) and the Unix time of the change."""
    return b"event: states\ndata: " + orjson.dumps(states) + b"\n\n"
