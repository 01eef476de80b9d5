"""Routes of plugins, which change while the hub runs: aiohttp's own router is frozen and delegates to this resource."""

from collections.abc import Iterator
from typing import Any

from aiohttp import web
from yarl import URL


class PluginRoutes(web.AbstractResource):
    """Resolves requests to the routes of running plugins, in the order in which they were started."""

    def __init__(self) -> None:
        super().__init__(name="plugins")
        self._routers: dict[str, web.UrlDispatcher] = {}
        self._paths: dict[str, list[tuple[str, str]]] = {}

    @property
    def canonical(self) -> str:
        """The shortest path, so that all other resources are tried first."""
        return "/"

    def set_routes(self, plugin: str, routes: list[web.RouteDef]) -> None:
        """Set the plugin's routes, replacing earlier ones."""
        router = web.UrlDispatcher()
        router.add_routes(routes)
        router.freeze()
        self._routers[plugin] = router
        self._paths[plugin] = [(route.method, route.path) for route in routes]

    def remove(self, plugin: str) -> None:
        self._routers.pop(plugin, None)
        self._paths.pop(plugin, None)

    def of(self, plugin: str) -> list[tuple[str, str]]:
        """Method and path of each of the plugin's routes."""
        return self._paths.get(plugin, [])

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        allowed: set[str] = set()
        for router in list(self._routers.values()):
            match = await router.resolve(request)
            if match.http_exception is None and isinstance(match, web.UrlMappingMatchInfo):
                return match, allowed
            allowed |= getattr(match.http_exception, "allowed_methods", set())
        return None, allowed

    def add_prefix(self, prefix: str) -> None:
        raise NotImplementedError

    def url_for(self, **_kwargs: str) -> URL:
        raise NotImplementedError

    def get_info(self) -> Any:
        return {"path": "/"}

    def raw_match(self, path: str) -> bool:
        del path
        return False

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter(())

    def __len__(self) -> int:
        return 0
