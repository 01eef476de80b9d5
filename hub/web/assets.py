"""The built browser code in `hub/static/dist`, located by its manifest."""

import json
from contextlib import suppress
from pathlib import Path

from aiohttp import web

DIST = Path(__file__).resolve().parents[1] / "static" / "dist"
FOREVER = "public, max-age=31536000, immutable"


class MissingAssetsError(Exception):
    """The browser code was not built."""


class Assets:
    def __init__(self, folder: Path = DIST) -> None:
        """Raises MissingAssetsError."""
        self.folder = folder
        self._manifest = folder / "manifest.json"
        self._names: dict[str, str] = {}
        self._read_at = 0
        self._read()
        if not self._names:
            raise MissingAssetsError(
                "the browser code is not built: run `make install` (or `pip install -e .`), see docs/architecture.md"
            )

    def url(self, name: str) -> str:
        """`console.js` → `/static/dist/console-AB12.js`, of the latest build. Raises KeyError."""
        self._read()
        return f"/static/dist/{self._names[name]}"

    def file(self, name: str) -> web.FileResponse:
        """A page or service worker from the build, not cached."""
        return web.FileResponse(self.folder / name, headers={"Cache-Control": "no-cache"})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve hashed files, which never change, and nothing outside the folder."""
        path = (self.folder / request.match_info["name"]).resolve()
        if self.folder.resolve() not in path.parents or not path.is_file():
            raise web.HTTPNotFound(text="There is no such file.")
        return web.FileResponse(path, headers={"Cache-Control": FOREVER})

    def _read(self) -> None:
        """Read the manifest again after a new build. During a build the old names stay."""
        with suppress(FileNotFoundError):
            changed_at = self._manifest.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._names = json.loads(self._manifest.read_text())
                self._read_at = changed_at
