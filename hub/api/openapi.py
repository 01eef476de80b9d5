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
    ordered = sorted(operations, key=lambda operation: (operation.path, operation.method))
    schemas, definitions = _schemas(ordered)
    paths: dict[str, dict[str, Any]] = {}
    for operation in ordered:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
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
        "tags": [{"name": owner} for owner in sorted({operation.owner for operation in ordered})],
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
    """The schemas of bodies (for validation) and answers (for serialisation)."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ProblemDocument, "serialization"): None}
    for operation in operations:
        if operation.answer is not None:
            wanted[operation.answer, "serialization"] = None
        if operation.body.model_fields:
            wanted[operation.body, "validation"] = None
    by_model, document = models_json_schema(list(wanted), ref_template=REFERENCE)
    return cast("Schemas", by_model), dict(sorted(document.get("$defs", {}).items()))


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    document: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": _authorization(operation),
        "tags": [operation.owner],
        "parameters": _parameters(operation),
        "responses": {str(operation.status): _success(operation, schemas)} | _problem_responses(operation),
        "security": [{"token": [operation.scope] if operation.scope else []}, {"session": []}],
    }
    if operation.body.model_fields:
        content = {"application/json": {"schema": schemas[operation.body, "validation"]}}
        document["requestBody"] = {"required": True, "content": content}
    return document


def _authorization(operation: Operation) -> str:
    token = f"A token needs the scope `{operation.scope}`." if operation.scope else "Any token."
    roles = ", ".join(f"`{role}`" for role in sorted(operation.roles))
    personal = " Personal data." if operation.is_personal else ""
    again = " It needs its password given within the last 15 minutes." if operation.asks_again else ""
    return f"{token} A session needs {f'one of the roles {roles}' if roles else 'any role'}.{again}{personal}"


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters = []
    for model, where in ((operation.parameters, "path"), (operation.query, "query")):
        for name, field in model.model_json_schema().get("properties", {}).items():
            schema = {key: value for key, value in field.items() if key not in ("title", "description", "default")}
            parameter = {"name": name, "in": where, "required": where == "path", "schema": _without_null(schema)}
            if "description" in field:
                parameter["description"] = field["description"]
            parameters.append(parameter)
    if operation.needs_match:
        parameters.append(_MATCH)
    if operation.method == "POST":
        parameters.append(_KEY)
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter without its null, which an address cannot express."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _success(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    if operation.stream is not None:
        return {
            "description": "events, as they happen",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    headers: dict[str, Any] = {}
    if operation.has_etag or (operation.needs_match and operation.answer is not None):
        headers["ETag"] = _ETAG
    if operation.is_list:
        headers["Link"] = {"description": 'the next page, `rel="next"`', "schema": {"type": "string"}}
    if operation.location is not None:
        headers["Location"] = {"description": "where it is", "required": True, "schema": {"type": "string"}}
    response: dict[str, Any] = {"description": "done" if operation.answer is None else operation.summary}
    if headers:
        response["headers"] = headers
    if operation.answer is not None:
        response["content"] = {"application/json": {"schema": schemas[operation.answer, "serialization"]}}
    return response


def _problem_responses(operation: Operation) -> dict[str, Any]:
    names = ["unauthenticated", "forbidden", "too-many-requests", "internal", "unavailable", *operation.problems]
    if operation.query.model_fields or operation.body.model_fields or operation.method == "GET":
        names += ["invalid"]
    names += ["malformed"]
    if operation.method != "GET":
        names += ["cross-site", "too-large", "media-type"]
    if operation.method == "POST":
        names += ["in-progress", "key-reused", "invalid"]
    if operation.needs_match:
        names += ["precondition-required", "stale", "invalid"]
    statuses = sorted({KINDS[name].status for name in names})
    answers = {str(status): {"$ref": f"#/components/responses/{BY_STATUS[status].name}"} for status in statuses}
    return answers | ({"304": {"description": "as `If-None-Match` has it"}} if operation.has_etag else {})


def _problem(kind: Kind) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": f"`{kind.type}`: {kind.meaning}",
        "content": {PROBLEM: {"schema": {"$ref": REFERENCE.format(model=ProblemDocument.__name__)}}},
    }
    if kind.name == "too-many-requests":
        response["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer"}}}
    return response
