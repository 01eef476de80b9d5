"""The OpenAPI 3.1 document of the HTTP API, made from the same operations as the routes."""

from collections.abc import Iterable
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from hub.api.operations import IF_MATCH_PATTERN, KEY_PATTERN, PREFIX, Operation
from hub.web.problems import BY_STATUS, KINDS, Kind, ProblemDocument
from hub.web.security import cookie_name

VERSION = "3.1.0"
REFERENCE = "#/components/schemas/{model}"
PROBLEM = "application/problem+json"

Schemas = dict[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]

_ETAG = {"description": "changes when, and only when, the answer does", "schema": {"type": "string"}}
_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "the ETag of what the caller has seen, or `*`",
    "schema": {"type": "string", "pattern": IF_MATCH_PATTERN},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "made by the caller, kept for a day: the same key and request again is not done again",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
}


def openapi(operations: Iterable[Operation], *, version: str, is_secure: bool) -> dict[str, Any]:
    """The whole document."""
    ordered = sorted(operations, key=lambda one: (one.path, one.method))
    schemas, definitions = _schemas(ordered)
    paths: dict[str, dict[str, Any]] = {}
    for one in ordered:
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Kommunevert: HTTP API",
            "version": version,
            "description": (
                "What the console can do, for programs. docs/api.md tells how to get a token, and of ETags, "
                "Idempotency-Key, pages and events."
            ),
            "license": {"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": owner} for owner in sorted({one.owner for one in ordered})],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": {kind.name: _problem(kind) for kind in KINDS.values()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "a token, made on the console's page Tokens or by `kommunevert token add`",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookie_name(is_secure=is_secure),
                    "description": "the console's session; what changes something must come from the same origin",
                },
            },
        },
    }


def _schemas(operations: list[Operation]) -> tuple[Schemas, dict[str, Any]]:
    """A body's schema says what may be sent, an answer's what will come."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ProblemDocument, "serialization"): None}
    for one in operations:
        if one.answer is not None:
            wanted[one.answer, "serialization"] = None
        if one.body.model_fields:
            wanted[one.body, "validation"] = None
    found, whole = models_json_schema(list(wanted), ref_template=REFERENCE)
    return cast("Schemas", found), dict(sorted(whole.get("$defs", {}).items()))


def _operation(one: Operation, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.id,
        "summary": one.summary,
        "description": _who(one),
        "tags": [one.owner],
        "parameters": _parameters(one),
        "responses": {str(one.status): _good(one, schemas)} | _bad(one),
        "security": [{"token": [one.scope] if one.scope else []}, {"session": []}],
    }
    if one.body.model_fields:
        content = {"application/json": {"schema": schemas[one.body, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _who(one: Operation) -> str:
    token = f"A token needs the scope `{one.scope}`." if one.scope else "Any token."
    roles = ", ".join(f"`{role}`" for role in sorted(one.roles))
    personal = " Personal data." if one.is_personal else ""
    again = " It needs its password given within the last 15 minutes." if one.asks_again else ""
    return f"{token} A session needs {f'one of the roles {roles}' if roles else 'any role'}.{again}{personal}"


def _parameters(one: Operation) -> list[dict[str, Any]]:
    found = []
    for model, where in ((one.parameters, "path"), (one.query, "query")):
        for name, field in model.model_json_schema().get("properties", {}).items():
            shown = {key: value for key, value in field.items() if key not in ("title", "description", "default")}
            parameter = {"name": name, "in": where, "required": where == "path", "schema": _text(shown)}
            if "description" in field:
                parameter["description"] = field["description"]
            found.append(parameter)
    if one.needs_match:
        found.append(_MATCH)
    if one.method == "POST":
        found.append(_KEY)
    return found


def _text(schema: dict[str, Any]) -> dict[str, Any]:
    """There is no null in an address: a parameter that is not there is not there."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _good(one: Operation, schemas: Schemas) -> dict[str, Any]:
    if one.stream is not None:
        return {
            "description": "events, as they happen",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    headers: dict[str, Any] = {}
    if one.has_etag or (one.needs_match and one.answer is not None):
        headers["ETag"] = _ETAG
    if one.is_list:
        headers["Link"] = {"description": 'the next page, `rel="next"`', "schema": {"type": "string"}}
    if one.location is not None:
        headers["Location"] = {"description": "where it is", "required": True, "schema": {"type": "string"}}
    good: dict[str, Any] = {"description": "done" if one.answer is None else one.summary}
    if headers:
        good["headers"] = headers
    if one.answer is not None:
        good["content"] = {"application/json": {"schema": schemas[one.answer, "serialization"]}}
    return good


def _bad(one: Operation) -> dict[str, Any]:
    names = ["unauthenticated", "forbidden", "too-many-requests", "internal", "unavailable", *one.problems]
    if one.query.model_fields or one.body.model_fields or one.method == "GET":
        names += ["invalid"]
    names += ["malformed"]
    if one.method != "GET":
        names += ["cross-site", "too-large", "media-type"]
    if one.method == "POST":
        names += ["in-progress", "key-reused", "invalid"]
    if one.needs_match:
        names += ["precondition-required", "stale", "invalid"]
    statuses = sorted({KINDS[name].status for name in names})
    answers = {str(status): {"$ref": f"#/components/responses/{BY_STATUS[status].name}"} for status in statuses}
    return answers | ({"304": {"description": "as `If-None-Match` has it"}} if one.has_etag else {})


def _problem(kind: Kind) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": f"`{kind.type}`: {kind.meaning}",
        "content": {PROBLEM: {"schema": {"$ref": REFERENCE.format(model=ProblemDocument.__name__)}}},
    }
    if kind.name == "too-many-requests":
        response["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer"}}}
    return response
