"""`/livez`: the event loop runs. `/readyz`: the state of each part. `/metrics`: Prometheus."""

import json

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hub.web.security import SESSION
from hub.work.parts import Condition

LOOPBACK = ("127.0.0.1", "::1")
FORWARDED = {"forwarded", "x-forwarded-for"}
"""Behind a proxy all requests come from this machine."""


def health_routes(condition: Condition) -> list[web.RouteDef]:
    """Logged-in users also see the problems and remarks."""

    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(request: web.Request) -> web.Response:
        problems = condition.problems()
        ready = not any(problems.values())
        parts: dict[str, str] = {part: "ok" if problem is None else "not ready" for part, problem in problems.items()}
        if request[SESSION] is not None:
            parts = condition.in_words()
        return web.Response(
            status=200 if ready else 503,
            text=json.dumps({"ready": ready, "parts": parts}) + "\n",
            content_type="application/json",
        )

    async def metrics(request: web.Request) -> web.Response:
        session = request[SESSION]
        is_local = request.remote in LOOPBACK and not FORWARDED & {name.lower() for name in request.headers}
        if not is_local and (session is None or "it" not in session.roles):
            raise web.HTTPForbidden(text="Metrics are for this machine and for IT.")
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
