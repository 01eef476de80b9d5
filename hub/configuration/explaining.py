"""Explains validation errors of a section: each once, at the setting as it was written, with what was expected."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from hub.language.mistakes import described

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Target:
    """The setting of an error location: as it was written, without pydantic's union tags, and its model."""

    written: Location
    model: type[BaseModel] | None = None
    siblings: tuple[type[BaseModel], ...] = ()
    """The other models of the union."""
    tag: tuple[str, str] | None = None
    """The discriminator and its value: `kind`, `ldap`."""


def explained(model: type[BaseModel], errors: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Location, str]]:
    """The location in the section and the explanation, in English, of each of `ValidationError.errors()`.

    With `include_input=False` it leaves out what was found.
    """
    missing: dict[Location, list[Mapping[str, Any]]] = {}
    for item in errors:
        location = tuple(item["loc"])
        if item["type"] == "missing":
            missing.setdefault(location[:-1], []).append(item)
        elif item["type"] == "too_short" and any(_is_below(one["loc"], location) for one in errors):
            continue  # invalid items, which pydantic does not count, have lines of their own
        elif item["type"] == "extra_forbidden":
            yield _unknown(model, location)
        else:
            actual = (
                f", found {_abbreviated(item['input'])}"
                if "input" in item and not isinstance(item["input"], Mapping)
                else ""
            )
            at = follow(model, location).written
            if item["type"] == "union_tag_invalid":
                at, actual = (*at, item["ctx"]["discriminator"].strip("'")), f", found {item['ctx']['tag']!r}"
            yield at, f"{described(item)}{actual}"
    for parent, items in missing.items():
        yield _missing(model, parent, [str(item["loc"][-1]) for item in items])


def follow(model: type[BaseModel], location: Location) -> Target:
    target = Target((), model)
    annotation: Any = model
    for part in location:
        kinds = _models(annotation)
        if len(kinds) > 1 and (chosen := _of_tag(kinds, str(part))) is not None:
            annotation, tag = chosen
            target = Target(target.written, annotation, tuple(one for one in kinds if one is not annotation), tag)
            continue
        annotation = _below(annotation, part)
        models = _models(annotation)
        target = Target((*target.written, part), models[0] if len(models) == 1 else None)
    return target


def _missing(model: type[BaseModel], parent: Location, names: list[str]) -> tuple[Location, str]:
    at = follow(model, parent)
    if len(names) == 1:
        field = at.model.model_fields.get(names[0]) if at.model else None
        description = f": {field.description}" if field is not None and field.description else ""
        return (*at.written, names[0]), f"must be given{description}"
    needs = f"`{at.tag[0]}: {at.tag[1]}` needs" if at.tag else "needs"
    return at.written, f"{needs} {', '.join(f'`{name}`' for name in names)}"


def _unknown(model: type[BaseModel], location: Location) -> tuple[Location, str]:
    at, name = follow(model, location[:-1]), str(location[-1])
    known = sorted(at.model.model_fields) if at.model else []
    where = (*at.written, location[-1])
    for other in at.siblings:
        if name in other.model_fields and at.tag and (tag := _tag(other, at.tag[0])):
            return where, f"belongs to `{at.tag[0]}: {tag}`; `{at.tag[0]}: {at.tag[1]}` takes {', '.join(known)}"
    similar = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean `{similar[0]}`?" if similar else f"known here: {', '.join(known)}"
    return where, f"there is no such setting; {hint}"


def _is_below(one: Location, other: Location) -> bool:
    return len(one) > len(other) and tuple(one[: len(other)]) == other


def _below(annotation: Any, part: str | int) -> Any:
    """The type of the field or item `part`; None if unknown."""
    for one in _models(annotation):
        field = one.model_fields.get(str(part))
        if field is not None:
            return field.annotation
    inner = [one for one in get_args(_bare(annotation)) if one is not type(None)]
    return inner[-1 if isinstance(part, str) else 0] if inner else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The model, or those of a union; none for a list of models."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType):
        return [model for one in get_args(annotation) for model in _models(one)]
    return []


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        others = [one for one in get_args(annotation) if one is not type(None)]
        if len(others) == 1:
            return _bare(others[0])
    return annotation


def _of_tag(models: Sequence[type[BaseModel]], part: str) -> tuple[type[BaseModel], tuple[str, str]] | None:
    for model in models:
        for name in model.model_fields:
            if _tag(model, name) == part:
                return model, (name, part)
    return None


def _tag(model: type[BaseModel], name: str) -> str | None:
    """The only allowed value of this setting, if it is a Literal with one."""
    field = model.model_fields.get(name)
    values = get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()
    return str(values[0]) if len(values) == 1 else None


def _abbreviated(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004
