"""`/live`: server-sent events that say which subjects have changed; the page asks for them again itself."""

from aiohttp import web

from hub.store.live import Live
from hub.web.security import SESSION
from hub.web.standing import Standing


def live_stream(live: Live, standing: Standing) -> web.RouteDef:
    async def serve(request: web.Request) -> web.StreamResponse:
        if request[SESSION] is None:
            raise web.HTTPUnauthorized(text="Log in first.")
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await answer.prepare(request)
        await answer.write(f"retry: 1000\nevent: hello\ndata: {live.count}\n\n".encode())
        stands = standing.of(request)
        async for changed in live.changes():
            if not await stands():
                break
            text = f"event: change\ndata: {' '.join(sorted(changed))}\n\n" if changed else ": still here\n\n"
            try:
                await answer.write(text.encode())
            except ConnectionResetError:
                break
        return answer

    return web.get("/live", serve)
