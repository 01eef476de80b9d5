"""Templates of devices: Jinja2 in a sandbox that limits time and size and has no side effects.

They come from the network and run on the event loop, so a template may use only what is listed in `rules` and `words`.
Loops, joins and products are metered; regular expressions have a time limit of their own.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, cast

import orjson
from jinja2 import TemplateError as JinjaError
from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from hub.entities.templating.depth import MAX_LEVELS, is_too_deep
from hub.entities.templating.meter import METER, bounded
from hub.entities.templating.rules import allowed, is_safe
from hub.entities.templating.words import FILTERS, GLOBALS, TESTS, Dictionary, TemplateError, replace

LONGEST_TEMPLATE = 8192
LONGEST_RESULT = 32_768
NAME_FILTERS = frozenset({"map", "max", "min", "reject", "rejectattr", "select", "selectattr", "sort"})
PATH = re.compile(r"\{\{\s*value_json((?:\.[A-Za-z_]\w*|\[\s*(?:'[^'\\]*'|\"[^\"\\]*\"|\d{1,9})\s*\])+)\s*\}\}")
STEP = re.compile(r"\.([A-Za-z_]\w*)|\[\s*(?:'([^'\\]*)'|\"([^\"\\]*)\"|(\d{1,9}))\s*\]")
METHODS = frozenset(dir(dict)) | frozenset(dir(list)) | frozenset(dir(str))
NOT_JSON = object()


class Payload:
    """One message's bytes; text and JSON are decoded lazily, once for all listeners of the topic."""

    __slots__ = ("_json", "_text", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._text: str | None = None
        self._json: Any = None

    @property
    def text(self) -> str:
        """Raises UnicodeDecodeError, a ValueError."""
        if self._text is None:
            self._text = self.raw.decode()
        return self._text

    @property
    def json(self) -> Any:
        """The decoded JSON, or NOT_JSON. Raises TemplateError if it is nested too deep."""
        if self._json is None:
            try:
                value = orjson.loads(self.raw)
            except orjson.JSONDecodeError:
                value = _lenient_json(self.raw)
            if is_too_deep(self.raw, value):
                raise TemplateError(f"the message has more than {MAX_LEVELS} objects and lists in one another")
            self._json = value
        return self._json


def _lenient_json(raw: bytes) -> Any:
    """Some devices send NaN or Infinity, which JSON does not have."""
    if b"NaN" not in raw and b"Infinity" not in raw:
        return NOT_JSON
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return NOT_JSON


class Template:
    """A value template (`value`, `value_json` → text) or a command template (`value` → payload).

    Raises TemplateError when it is too long, is no template, or uses what is not allowed.
    """

    __slots__ = ("_generate", "_path", "source")

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_TEMPLATE:
            raise TemplateError(f"a template has at most {LONGEST_TEMPLATE} characters, this one {len(source)}")
        self.source = source
        self._path = _path(source)
        self._generate: Callable[..., Iterator[str]] | None = None if self._path else _compiled(source)

    @property
    def is_plain(self) -> bool:
        """Only a path into the JSON: no template code runs."""
        return self._path is not None

    def read(self, payload: Payload) -> str:
        """Render the template with a message; "" if the value is missing. Raises TemplateError."""
        if self._path is not None:
            return _walk(self._path, payload.json)
        values: dict[str, Any] = {"value": payload.text}
        if payload.json is not NOT_JSON:
            values["value_json"] = payload.json
        return self.render(**values)

    def render(self, **values: Any) -> str:
        """Raises TemplateError if it fails, takes more than RENDER_SECONDS, or its result is too large."""
        generate = self._generate or _compiled(self.source)
        METER.start()
        pieces: list[str] = []
        size = 0
        try:
            for piece in generate(**values):
                METER.check()
                pieces.append(piece)
                size += len(piece)
                if size > LONGEST_RESULT:
                    raise TemplateError(f"it makes more than {LONGEST_RESULT} characters")  # noqa: TRY301
        except TemplateError:
            raise
        except Exception as error:  # noqa: BLE001 (a device's template may raise anything; the text would quote the message)
            raise TemplateError(f"it fails: {type(error).__name__}") from None
        return "".join(pieces).strip()


@lru_cache(maxsize=2048)
def template(source: str) -> Template:
    """A cached template: many devices have the same one. Raises TemplateError."""
    return Template(source)


class _Environment(ImmutableSandboxedEnvironment):
    """`rules` defines what a template may contain; METER limits time and size."""

    intercepted_binops = frozenset({"*", "**", "%", "+", "-", "/", "//"})

    def __init__(self) -> None:
        # The time of Jinja's optimizer grows with the cube of an expression's depth.
        super().__init__(extensions=["jinja2.ext.loopcontrols"], optimized=False, finalize=METER.finalized)
        self.filters = {
            name: METER.limiting_names(function) if name in NAME_FILTERS else METER.metering(function)
            for name, function in FILTERS.items()
        }
        self.filters |= {
            "_checked": METER.checked,
            "_concatenated": METER.concatenated,
            "_counted": METER.counted,
            "_sized": METER.sized,
        }
        self.tests = {name: METER.metering(cast("Any", self.tests[name])) for name in TESTS}
        self.globals = {
            name: METER.metering(function) if callable(function) else function for name, function in GLOBALS.items()
        }
        self.globals |= {"dict": Dictionary(METER), "namespace": _Namespace}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return allowed(super()._parse(source, name, filename))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        del value
        return is_safe(obj, attr)

    def wrap_str_format(self, value: Any) -> None:
        """None: `format` is an attribute like others, and not a safe one (a width makes any length)."""
        del value

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063 (as in Jinja)
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str) and __obj.__name__ == "replace":
            args = (owner, *args)
            return replace(*args)
        METER.check()
        return METER.sized(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        METER.check()
        if operator in ("*", "**") or isinstance(left, str | list | tuple):
            bounded(operator, left, right)
        return METER.sized(super().call_binop(context, operator, left, right))


class _Namespace(Namespace):
    """Without its content in the `repr`: it may contain itself."""

    def __repr__(self) -> str:
        return "<namespace>"


ENVIRONMENT = _Environment()


def _compiled(source: str) -> Callable[..., Iterator[str]]:
    try:
        return ENVIRONMENT.from_string(source.strip()).generate
    except JinjaError as error:
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        raise TemplateError(f"{getattr(error, 'message', None) or error}{where}") from None
    except TemplateError:
        raise
    except Exception as error:  # noqa: BLE001 (Python refuses what Jinja made of it: too deep, too large)
        raise TemplateError(f"it is too deep or too large ({type(error).__name__})") from None


def _path(source: str) -> tuple[str | int, ...] | None:
    """The keys to follow for a template such as `{{ value_json.battery }}`, the usual case; None for any other."""
    match = PATH.fullmatch(source.strip())
    if match is None:
        return None
    steps: list[str | int] = []
    for dotted, single, double, number in STEP.findall(match[1]):
        if dotted in METHODS:
            return None  # `value_json.items` is a method to Jinja
        steps.append(int(number) if number else dotted or single or double)
    return tuple(steps)


def _walk(path: tuple[str | int, ...], value: Any) -> str:
    """As Jinja does: a missing last key gives "", an earlier one is an error."""
    last = len(path) - 1
    for number, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            if number < last or value is NOT_JSON:
                raise TemplateError(f"there is no {step!r} in the message") from None
            return ""
    return str(value).strip()
