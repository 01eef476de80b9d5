"""Generates a form from a plugin's settings model, and converts a submitted form to a section."""

import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from io import StringIO
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hub.configuration import file_only
from hub.language.mistakes import NUMBER, WHOLE, MistakeError, Words, described, in_english
from hub.language.translation import N_
from hub.web.forms import Form

Kind = Literal["text", "number", "switch", "choice", "choices", "lines", "yaml", "group", "file"]

NONE = "none"
FILE_ONLY = N_(
    "Can only be set in the configuration file, because it decides which files the hub reads, where secrets are sent, "
    "or who gets a role."
)


@dataclass(frozen=True)
class Field:
    """A setting in a form. `path` is `mail.port`; a group has fields of its own; kind `file` is read-only."""

    path: str
    kind: Kind
    help: str = ""
    required: bool = False
    optional: bool = False
    """It may be None: empty, or a group that is not used."""
    whole: bool = False
    """An integer."""
    choices: tuple[str, ...] = ()
    limits: dict[str, Any] = field(default_factory=dict)
    fields: tuple["Field", ...] = ()
    value: Any = None
    error: str | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def input_text(self) -> str:
        """The value as the text of an input."""
        if self.value is None:
            return ""
        if self.kind == "lines" and isinstance(self.value, Sequence) and not isinstance(self.value, str):
            return "\n".join(map(str, self.value))
        if self.kind in ("yaml", "file") and not isinstance(self.value, str):
            out = StringIO()
            YAML(typ="rt").dump(self.value, out) if self.value else None
            return out.getvalue()
        return str(self.value)


def form_of(model: type[BaseModel], section: Mapping[str, Any], path: str = "") -> tuple[Field, ...]:
    """The model's fields with the values of `section`, or their defaults."""
    form = (_field(f"{path}{name}", name, one, section) for name, one in model.model_fields.items())
    file_only_names = frozenset[str]() if path else file_only.names(model)
    return tuple(replace(one, kind="file", fields=()) if one.name in file_only_names else one for one in form)


def fields_of(form: Sequence[Field], sent: Iterable[str]) -> Form:
    """The fields that a browser submits.

    `sent`: the submitted names; `section_of` refuses those only the file may set.
    """
    everything = list(_flattened(form))
    file_only_names = tuple(rf"{one.path}{end}" for one in everything if one.kind == "file" for end in (".", ":"))
    of_file = {one.path for one in everything if one.kind == "file"}
    return Form(
        must=[one.path for one in everything if one.kind in ("text", "number", "choice", "lines", "yaml")],
        may=[one.path for one in everything if one.kind == "switch"]
        + [f"{one.path}:used" for one in everything if one.kind == "group" and one.optional],
        many=[one.path for one in everything if one.kind == "choices"]
        + [name for name in sent if name in of_file or name.startswith(file_only_names)],
    )


def section_of(
    form: Sequence[Field], sent: Mapping[str, str], all_values: Callable[[str], list[str]]
) -> dict[str, Any]:
    """The section with the submitted values. Raises FormError for values that are not of the field's kind.

    `all_values` returns all values of a name, as for checkboxes.
    """
    file_only_names = [one.path for one in form if one.kind == "file"]
    refused = [
        path for path in file_only_names if any(re.match(rf"{re.escape(path)}(?:[.:]|$)", name) for name in sent)
    ]
    mistakes = {path: MistakeError(FILE_ONLY) for path in refused}
    section = _read([one for one in form if one.kind != "file"], sent, all_values, mistakes)
    if mistakes:
        raise FormError(mistakes)
    return section


class FormError(Exception):
    """Invalid values, by the path of their field."""

    def __init__(self, mistakes: dict[str, MistakeError]) -> None:
        super().__init__("; ".join(f"{path}: {text}" for path, text in mistakes.items()))
        self.mistakes = mistakes

    def described(self, words: Words) -> dict[str, str]:
        return {path: _as_sentence(words(mistake.message, **mistake.values)) for path, mistake in self.mistakes.items()}


def mistakes_of(form: Sequence[Field], error: ValidationError, words: Words = in_english) -> dict[str, str]:
    """Each mistake by the path of the deepest field that it belongs to; "" if it belongs to none."""
    known = {one.path for one in _flattened(form)}
    mistakes: dict[str, str] = {}
    for item in error.errors(include_url=False):
        parts = [str(part) for part in item["loc"]]
        path = next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), "")
        below = item["loc"][len(path.split(".")) if path else 0 :]
        rest = " ".join(f"#{part + 1}" if isinstance(part, int) else part for part in below)
        text = described(item, words)
        mistakes.setdefault(path, f"{rest}: {text}" if rest else _as_sentence(text))
    return mistakes


def _as_sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def filled(
    form: Sequence[Field], sent: Mapping[str, str], all_values: Callable[[str], list[str]], mistakes: Mapping[str, str]
) -> tuple[Field, ...]:
    """The form with the submitted values and the mistakes."""
    return tuple(
        replace(
            one,
            value=one.value if one.kind == "file" else _sent(one, sent, all_values),
            error=mistakes.get(one.path),
            fields=filled(one.fields, sent, all_values, mistakes),
        )
        for one in form
    )


def _field(path: str, name: str, one: FieldInfo, section: Mapping[str, Any]) -> Field:
    default = one.get_default(call_default_factory=True)
    value = section.get(name, None if default is PydanticUndefined else default)
    value = to_jsonable_python(value)
    annotation, optional = _without_none(one.annotation)
    limits = {
        name: getattr(limit, name)
        for limit in one.metadata
        for name in ("ge", "le", "gt", "lt", "min_length", "max_length")
        if hasattr(limit, name)
    }
    base = Field(path, "text", one.description or "", one.is_required(), optional, limits=limits, value=value)
    return _shaped(base, annotation, value)


def _shaped(base: Field, annotation: Any, value: Any) -> Field:  # noqa: PLR0911 (one for each kind of field)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return replace(base, kind="choice", choices=tuple(map(str, inner)))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return replace(base, kind="choice", choices=tuple(str(each.value) for each in annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        input_text = value if isinstance(value, Mapping) else {}
        return replace(base, kind="group", fields=form_of(annotation, input_text, f"{base.path}."))
    if annotation is bool:
        return replace(base, kind="switch")
    if annotation in (int, float):
        return replace(base, kind="number", whole=annotation is int)
    if origin in (list, set, frozenset, tuple, Sequence) and inner:
        element, _ = _without_none(inner[0])
        if get_origin(element) is Literal:
            return replace(base, kind="choices", choices=tuple(map(str, get_args(element))))
        if element is str:
            return replace(base, kind="lines")
    if origin is not None or not isinstance(annotation, type):
        return replace(base, kind="yaml")
    return base


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The type without `Annotated` and `| None`, and whether None is among it."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        others = [one for one in get_args(annotation) if one is not type(None)]
        if len(others) == 1 and len(get_args(annotation)) > 1:
            return _without_none(others[0])[0], True
    return annotation, False


def _flattened(form: Sequence[Field]) -> Iterator[Field]:
    for one in form:
        yield one
        yield from _flattened(one.fields)


def _sent(one: Field, sent: Mapping[str, str], all_values: Callable[[str], list[str]]) -> Any:
    if one.kind == "switch":
        return one.path in sent
    if one.kind == "choices":
        return all_values(one.path)
    if one.kind == "group":
        return {} if f"{one.path}:used" in sent or not one.optional else None
    return sent.get(one.path, "")


def _read(
    form: Sequence[Field],
    sent: Mapping[str, str],
    all_values: Callable[[str], list[str]],
    mistakes: dict[str, MistakeError],
) -> dict[str, Any]:
    section: dict[str, Any] = {}
    for one in form:
        value = _sent(one, sent, all_values)
        if one.kind == "group":
            if value is None:
                section[one.name] = None
            else:
                section[one.name] = _read(one.fields, sent, all_values, mistakes)
        elif one.kind in ("switch", "choices"):
            section[one.name] = value
        elif one.kind == "lines":
            section[one.name] = [line.strip() for line in str(value).splitlines() if line.strip()]
        elif not str(value).strip():
            if one.optional:
                section[one.name] = None  # otherwise its default, or a mistake if it has none
        else:
            try:
                section[one.name] = _value(one, str(value).strip())
            except MistakeError as error:
                mistakes[one.path] = error
    return section


def _value(one: Field, text: str) -> Any:
    """Raises MistakeError."""
    if one.kind == "number":
        try:
            return int(text) if one.whole else float(text.replace(",", "."))
        except ValueError:
            raise MistakeError(WHOLE if one.whole else NUMBER) from None
    if one.kind == "yaml":
        try:
            return to_jsonable_python(YAML(typ="safe").load(text))
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            raise MistakeError(
                N_("is not written as in the file (YAML); look at line %(line)s"), line=mark.line + 1 if mark else 1
            ) from None
    return text
