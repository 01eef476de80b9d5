"""The OpenAPI document for the documentation page: a chapter for each owner, operations with their fields."""

from dataclasses import dataclass, field
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Field:
    """A parameter or a field of a body or an answer."""

    name: str
    type: str
    is_required: bool
    description: str = ""
    where: str = ""


@dataclass(frozen=True)
class Entry:
    """One operation."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    status: str
    parameters: list[Field]
    body: list[Field]
    answer: list[Field]
    is_page: bool
    statuses: list[str]


@dataclass(frozen=True)
class Chapter:
    owner: str
    entries: list[Entry] = field(default_factory=list)


def chapters(document: dict[str, Any]) -> list[Chapter]:
    by_owner = {tag["name"]: Chapter(tag["name"]) for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                entry = _entry(document, method, path, operations[method])
                by_owner[operations[method]["tags"][0]].entries.append(entry)
    return sorted(by_owner.values(), key=lambda one: (one.owner != "hub", one.owner))


def _entry(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> Entry:
    status = next(one for one in operation["responses"] if one.startswith("2"))
    answer = _schema(document, operation["responses"][status])
    is_page = "next" in answer.get("properties", {})
    if is_page:
        answer = _resolved(document, answer["properties"]["items"]["items"])
    return Entry(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        status=status,
        parameters=[
            Field(
                one["name"],
                _type(document, one["schema"]),
                one["required"],
                one.get("description", ""),
                one["in"],
            )
            for one in operation["parameters"]
        ],
        body=_fields(document, _schema(document, operation.get("requestBody", {}))),
        answer=_fields(document, answer),
        is_page=is_page,
        statuses=sorted(operation["responses"]),
    )


def _schema(document: dict[str, Any], holder: dict[str, Any]) -> dict[str, Any]:
    return _resolved(document, holder.get("content", {}).get("application/json", {}).get("schema", {}))


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    named: dict[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return named


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> list[Field]:
    required = schema.get("required", [])
    return [
        Field(name, _type(document, one), name in required, one.get("description", ""))
        for name, one in schema.get("properties", {}).items()
    ]


def _type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(_type(document, one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"{_type(document, schema.get('items', {}))}[]"
    return str(schema.get("const") or schema.get("format") or schema.get("type", "any"))
