"""The contract for the web apps: `devices/web/contract.ts`, made from the same models as the hub reads.

    python -m devices.contract.typescript            write it
    python -m devices.contract.typescript --check    exit 1 if what stands there is out of date

pydantic gives JSON Schema, the npm package json-schema-to-typescript gives types. The schemas of what a
device receives come along as values, so that the apps check messages by the contract itself.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from devices.contract import alive, kiosk, pairing, screen
from devices.contract.payload import Payload

ROOT = Path(__file__).parents[2]
NAME = "devices/web/contract.ts"
TARGET = ROOT / NAME
COMPILER = ROOT / "node_modules" / "json-schema-to-typescript" / "dist" / "src" / "cli.js"
COMPILER_SECONDS = 60

SENT: tuple[type[Payload], ...] = (
    alive.Status,
    alive.Heartbeat,
    kiosk.Search,
    kiosk.Visit,
    kiosk.CheckOut,
    kiosk.AnswerShown,
    kiosk.Ask,
    pairing.PairingRequest,
    pairing.PairingClaim,
)
RECEIVED: tuple[type[Payload], ...] = (
    kiosk.Found,
    kiosk.Receipt,
    kiosk.HostAnswer,
    kiosk.Told,
    kiosk.Offer,
    screen.Programme,
    pairing.PairingOffer,
    pairing.PairingAnswer,
)
CONSTANTS = {
    "HEARTBEAT_SECONDS": alive.HEARTBEAT_SECONDS,
    "ASK_AGAIN_SECONDS": pairing.ASK_AGAIN_SECONDS,
    "MIN_LETTERS": kiosk.MIN_LETTERS,
    "MAX_HOSTS": kiosk.MAX_HOSTS,
}
BANNER = (
    "/* Made by `python -m devices.contract.typescript` from devices/contract/*.py.\n"
    "   Do not edit: change the models. */\n"
)
OPTIONS = ("--no-additionalProperties", "--bannerComment", "", "--style.printWidth", "110")


class MissingToolError(RuntimeError):
    """Node or the npm package that writes the types is missing."""


def schema() -> dict[str, Any]:
    """Every message of the web apps under `$defs`, as it may look when it is read."""
    _, whole = models_json_schema([(model, "validation") for model in (*SENT, *RECEIVED)])
    return {"$defs": {name: _untitled(model) for name, model in sorted(whole["$defs"].items())}}


def _untitled(node: Any) -> Any:
    """Without titles, for which the compiler would make a type each."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _untitled(value) for key, value in node.items() if key != "title" or isinstance(value, dict)}


def _older_tuples(node: Any) -> Any:
    """`prefixItems` as the compiler knows it: an `items` list."""
    if isinstance(node, list):
        return [_older_tuples(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _older_tuples(value) for key, value in node.items()}
    if "prefixItems" in changed:
        changed["items"] = changed.pop("prefixItems")
        changed["additionalItems"] = False
    elif changed.get("type") == "array":
        changed.pop("minItems", None)
        changed.pop("maxItems", None)
    return changed


def types(definitions: dict[str, Any]) -> str:
    """TypeScript interfaces for `definitions`. Raises MissingToolError, or CalledProcessError."""
    node = shutil.which("node")
    if node is None or not COMPILER.exists():
        raise MissingToolError("needs node and `npm ci` in the repository's folder")
    names = list(definitions)
    whole = {
        "title": "Contract",
        "type": "object",
        "properties": {name: {"$ref": f"#/definitions/{name}"} for name in names},
        "required": names,
        "additionalProperties": False,
        "definitions": _older_tuples(definitions),
    }
    moved = json.dumps(whole).replace("#/$defs/", "#/definitions/")
    done = subprocess.run(
        [node, str(COMPILER), *OPTIONS],
        input=moved,
        capture_output=True,
        text=True,
        check=True,
        timeout=COMPILER_SECONDS,
        env={**os.environ, "NO_COLOR": "1"},
    )
    return done.stdout


def contract() -> str:
    """The whole file."""
    whole = schema()
    definitions: dict[str, Any] = whole["$defs"]
    constants = "".join(f"export const {name} = {value};\n" for name, value in CONSTANTS.items())
    needed = _reachable(definitions, [model.__name__ for model in RECEIVED])
    values = json.dumps({name: definitions[name] for name in needed}, indent=2, ensure_ascii=False)
    received = " | ".join(f'"{model.__name__}"' for model in RECEIVED)
    return (
        f"{BANNER}\n{types(definitions)}\n{constants}\n"
        "/** What a device receives. */\n"
        f"export type Received = {received};\n\n"
        "/** The schemas of what a device receives, and of their parts. */\n"
        f"export const definitions = {values};\n"
    )


def _reachable(definitions: dict[str, Any], names: list[str]) -> list[str]:
    found: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            text = json.dumps(definitions[name])
            waiting += [other for other in definitions if f'"#/$defs/{other}"' in text]
    return sorted(found)


def main(arguments: list[str]) -> None:
    """Exits 1 with what is wrong and what to do."""
    try:
        made = contract()
    except MissingToolError as error:
        sys.exit(f"{NAME}: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{NAME}: json-schema-to-typescript failed:\n{error.stderr}")
    if "--check" not in arguments:
        TARGET.write_text(made, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != made:
        sys.exit(f"{NAME} is out of date with devices/contract/*.py.\nRun: python -m devices.contract.typescript")


if __name__ == "__main__":
    main(sys.argv[1:])
