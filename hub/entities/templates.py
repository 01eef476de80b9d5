"""Templates that devices bring along: Jinja2 in a sandbox that bounds time and size, and touches nothing.

They come from the network and run on the loop, so what a template may do is what is listed here and in
`template_words`. Loops, joins and products are metered; regular expressions have a time limit of their own.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import orjson
from jinja2 import TemplateError as JinjaError
from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from hub.entities.template_words import FILTERS, GLOBALS, TESTS, TemplateError, TooSlowError, words

LONGEST_TEMPLATE = 16_384
LONGEST_RESULT = 32_768
MOST_ITEMS = 10_000
MOST_BITS = 4096
RENDER_SECONDS = 0.02
SAFE_STR = frozenset(
    words(
        "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower "
        "isnumeric isspace isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex "
        "rpartition rsplit rstrip split splitlines startswith strip swapcase title upper "
    )
)
PATH = re.compile(r"\{\{\s*value_json((?:\.[A-Za-z_]\w*|\[\s*(?:'[^'\\]*'|\"[^\"\\]*\"|\d+)\s*\])+)\s*\}\}")
STEP = re.compile(r"\.([A-Za-z_]\w*)|\[\s*(?:'([^'\\]*)'|\"([^\"\\]*)\"|(\d+))\s*\]")
METHODS = frozenset(dir(dict)) | frozenset(dir(list)) | frozenset(dir(str))
NOT_JSON = object()
FAILURES = (JinjaError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Payload:
    """One message's bytes; text and JSON are made when first asked for, once for all that read the topic."""

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
        """NOT_JSON where it is none."""
        if self._json is None:
            try:
                self._json = orjson.loads(self.raw)
            except orjson.JSONDecodeError:
                self._json = NOT_JSON
        return self._json


class Template:
    """A value template (`value`, `value_json` → text) or a command template (`value` → payload).

    Raises TemplateError when it is too long, is no template, or uses what is not allowed.
    """

    __slots__ = ("_path", "_render", "source")

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_TEMPLATE:
            raise TemplateError(f"a template has at most {LONGEST_TEMPLATE} characters, this one {len(source)}")
        self.source = source
        self._path = _path(source)
        self._render: Callable[..., str] | None = None if self._path else _compiled(source)

    def read(self, payload: Payload) -> str:
        """The text that the template makes of a message; "" when what it names is not there. Raises TemplateError."""
        if self._path is not None:
            return _walk(self._path, payload.json)
        values: dict[str, Any] = {"value": payload.text}
        if payload.json is not NOT_JSON:
            values["value_json"] = payload.json
        return self.render(**values)

    def render(self, **values: Any) -> str:
        """Raises TemplateError when it fails, takes more than RENDER_SECONDS, or makes too much."""
        render = self._render or _compiled(self.source)
        METER.start()
        try:
            made = render(**values)
        except TemplateError:
            raise
        except FAILURES as error:
            raise TemplateError(f"{type(error).__name__}: {error}") from None
        if len(made) > LONGEST_RESULT:
            raise TemplateError(f"it makes {len(made)} characters, at most {LONGEST_RESULT} are taken")
        return made.strip()


@lru_cache(maxsize=2048)
def template(source: str) -> Template:
    """Fleets say the same thing many times: compile it once. Raises TemplateError."""
    return Template(source)


class _Meter:
    """Rendering is synchronous, so one clock serves all templates."""

    def __init__(self) -> None:
        self._end = 0.0

    def start(self) -> None:
        self._end = time.perf_counter() + RENDER_SECONDS

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            if number > MOST_ITEMS or time.perf_counter() > self._end:
                raise TooSlowError(f"it takes more than {RENDER_SECONDS * 1000:.0f} ms or {MOST_ITEMS} turns")
            yield item


METER = _Meter()


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(extensions=["jinja2.ext.loopcontrols"])
        self.filters = {**FILTERS, "_counted": METER.counted, "_concatenated": _concatenated}
        self.tests = {name: self.tests[name] for name in TESTS}
        self.globals = {**GLOBALS, "namespace": self.globals["namespace"]}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed: nodes.Template = _Metered().visit(super()._parse(source, name, filename))
        return parsed

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in SAFE_STR
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """None: `format` is an attribute like others, and not a safe one (a width makes any length)."""
        del value

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063 (as in Jinja)
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            _bounded(owner, args)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str | list | tuple) and len(left) + len(right) > LONGEST_RESULT:
            raise TemplateError("it makes too long a list or text")
        if operator in ("*", "**"):
            _small(operator, left, right)
        if operator == "%" and isinstance(left, str):
            raise TemplateError("`%` does not format here; use `~` and `round`")
        return super().call_binop(context, operator, left, right)


class _Metered(NodeTransformer):
    """Every loop counts its turns, every `~` its length."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 (Jinja's naming)
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_concatenated", [], [], None, None, lineno=node.lineno)


def _concatenated(parts: list[Any]) -> str:
    texts = [str(part) for part in parts]
    if sum(map(len, texts)) > LONGEST_RESULT:
        raise TemplateError("it makes too long a text")
    return "".join(texts)


def _bounded(owner: str, arguments: tuple[Any, ...]) -> None:
    """`replace` and `join` can make a long text of short ones."""
    longest = max((len(each) for each in arguments if isinstance(each, str)), default=1)
    several = sum(len(str(each)) for each in arguments[0]) if arguments and isinstance(arguments[0], list) else 0
    if (len(owner) + 1) * max(longest, 1) + several > LONGEST_RESULT * 8:
        raise TemplateError("it makes too long a text")


def _small(operator: str, left: Any, right: Any) -> None:
    if isinstance(left, int | float) and isinstance(right, int | float):
        bits = int(left).bit_length() * (abs(right) if operator == "**" else 1) + int(right).bit_length()
        if bits > MOST_BITS:
            raise TemplateError("it computes with too large a number")
        return
    size = len(left) * right if isinstance(right, int) else left * len(right)
    if size > MOST_ITEMS:
        raise TemplateError("it makes too long a list or text")


ENVIRONMENT = _Environment()


def _compiled(source: str) -> Callable[..., str]:
    try:
        return ENVIRONMENT.from_string(source.strip()).render
    except (JinjaError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        raise TemplateError(f"{getattr(error, 'message', None) or error}{where}") from None


def _path(source: str) -> tuple[str | int, ...] | None:
    """`{{ value_json.battery }}` and the like, which is what most devices send, need no engine: the keys to walk."""
    found = PATH.fullmatch(source.strip())
    if found is None:
        return None
    steps: list[str | int] = []
    for dotted, single, double, number in STEP.findall(found[1]):
        if dotted in METHODS:
            return None  # `value_json.items` is a method to Jinja
        steps.append(int(number) if number else dotted or single or double)
    return tuple(steps)


def _walk(path: tuple[str | int, ...], value: Any) -> str:
    """What Jinja makes of it: a last step that leads nowhere is "", an earlier one is an error."""
    last = len(path) - 1
    for number, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            if number < last or value is NOT_JSON:
                raise TemplateError(f"there is no {step!r} in the message") from None
            return ""
    return value if type(value) is str else str(value).strip()
