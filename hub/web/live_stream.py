"""`/live`: server-sent events with the subjects that have changed; the page then reloads its parts."""

from aiohttp import web

from hub.store.live import Live
from hub.web.security import SESSION
from hub.web.stream_access import StreamAccess


def live_stream(live: Live, access: StreamAccess) -> web.RouteDef:
    async def serve(request: web.Request) -> web.StreamResponse:
        if request[SESSION] is None:
            raise web.HTTPUnauthorized(text="Log in first.")
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await answer.prepare(request)
        await answer.write(f"retry: 1000\nevent: hello\ndata: {live.count}\n\n".encode())
        is_allowed = access.of(request)
        async for changed in live.changes():
            if not await is_allowed():
                break
            text = f"event: change\ndata: {' '.join(sorted(changed))}\n\n" if changed else ": still here\n\n"
            try:
                await answer.write(text.encode())
            except ConnectionResetError:
                break
        return answer

    return web.get("/live", serve)
