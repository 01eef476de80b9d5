"""The committed API documents, so that changes are visible in review: `docs/asyncapi.json`, `docs/openapi.json`.

python -m hub.toolkit.published            write them
python -m hub.toolkit.published --check    exit 1 if one is out of date or is not valid
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hub.api.openapi import openapi
from hub.configuration.settings import Configuration, StoreSettings
from hub.devices.asyncapi import asyncapi
from hub.hub import Hub

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATIONS = ROOT / "node_modules" / "@asyncapi" / "specs" / "schemas"
"""The AsyncAPI initiative's JSON schemas, from npm."""
DEFAULTS = """\
site: {id: site, name: Town hall}
plugins:
  directory: {source: {kind: ldif, file: nobody.ldif}}
"""
"""The smallest configuration: all included plugins with their defaults."""


def asyncapi_of(hub: Hub) -> dict[str, Any]:
    """The AsyncAPI document of a hub whose plugins have started."""
    return asyncapi(hub.settings, hub.mqtt.channels.values(), hub.enroller.kinds(), version=version("kommunevert"))


def openapi_of(hub: Hub) -> dict[str, Any]:
    """The OpenAPI document of a hub whose plugins have started."""
    secure = hub.settings.web.address.startswith("https:")
    return openapi(hub.operations(), version=version("kommunevert"), is_secure=secure)


@asynccontextmanager
async def started(path: Path | None = None) -> AsyncIterator[Hub]:
    """A hub of this configuration, or with the included plugins, on a temporary empty store.

    Raises ConfigurationError.
    """
    with tempfile.TemporaryDirectory() as folder:
        read = Configuration.read(path) if path else Configuration(DEFAULTS, "defaults", Path(folder))
        read.hub = read.hub.model_copy(update={"data": Path(folder), "store": StoreSettings()})
        hub = Hub(read)
        async with hub.store_only():
            yield hub


def as_text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


async def _documents() -> dict[str, dict[str, Any]]:
    async with started() as hub:
        return {"docs/asyncapi.json": asyncapi_of(hub), "docs/openapi.json": openapi_of(hub)}


def errors_in(name: str, document: dict[str, Any]) -> list[str]:
    """Violations of the specification's JSON schema, and unresolved references."""
    from jsonschema import Draft7Validator  # noqa: PLC0415 (`make install-check` has both, a hub does not)
    from openapi_spec_validator import OpenAPIV31SpecValidator  # noqa: PLC0415

    if "openapi" in document:
        errors = OpenAPIV31SpecValidator(document).iter_errors()
    else:
        schema = json.loads((SPECIFICATIONS / f"{document['asyncapi']}-without-$id.json").read_text())
        errors = Draft7Validator(schema).iter_errors(document)
    found = [f"{name}: {error.json_path}: {error.message[:200]}" for error in errors]
    return found + [f"{name}: {one} leads nowhere" for one in _references(document) if not _resolves(document, one)]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)


def _resolves(document: dict[str, Any], reference: str) -> bool:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def main(arguments: list[str]) -> None:
    """Write or check the documents; exits 1 with what is wrong and what to do."""
    documents = asyncio.run(_documents())
    if wrong := [one for name, document in documents.items() for one in errors_in(name, document)]:
        sys.exit("\n".join(wrong))
    for name, document in documents.items():
        path, text = ROOT / name, as_text(document)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{name} is out of date with the code.\nRun: make contract")


if __name__ == "__main__":
    main(sys.argv[1:])
