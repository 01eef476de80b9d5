"""What a device's template may contain: kinds of nodes, functions, and attributes by type.

An allow-list: whatever later versions of Jinja and Python add is not allowed.
"""

from datetime import date, datetime, timedelta
from typing import Any

from jinja2 import nodes
from jinja2.runtime import LoopContext
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from hub.entities.templating.words import GLOBALS, Dictionary, TemplateError, words

MAX_NODES = 1500
DEEPEST = 12
"""Levels of `if` and `for` in one another; Python itself gives up at twenty."""

ALLOWED = frozenset(
    words(
        "Add And Assign Break Call Compare Concat CondExpr Const Continue Dict Div Filter FloorDiv For Getattr Getitem "
        "If Keyword List Mod Mul NSRef Name Neg Not Operand Or Output Pair Pos Pow Slice Sub Template TemplateData "
        "Test Tuple"
    )
)
OF_TEXT = frozenset(
    words(
        "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric "
        "isspace isupper lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit "
        "rstrip split splitlines startswith strip swapcase title upper"
    )
)
OF_DICT = frozenset(words("get items keys values"))
OF_LIST = frozenset(words("count index"))
OF_TIME = frozenset(
    words(
        "astimezone date day hour isoformat isoweekday microsecond minute month second timestamp utcoffset weekday year"
    )
)
OF_SPAN = frozenset(words("days microseconds seconds total_seconds"))
OF_LOOP = frozenset(words("depth0 first index index0 last length nextitem previtem revindex revindex0"))
OF_FUNCTION = frozenset({"from_keys"})
CALLED = OF_TEXT | OF_DICT | OF_LIST | OF_TIME | OF_SPAN | OF_FUNCTION


SAFE: tuple[tuple[type | tuple[type, ...], frozenset[str]], ...] = (
    (str, OF_TEXT),
    (dict, OF_DICT),
    ((list, tuple), OF_LIST),
    ((datetime, date), OF_TIME),
    (timedelta, OF_SPAN),
    (LoopContext, OF_LOOP),
    (Dictionary, OF_FUNCTION),
)


def is_safe(owner: Any, attribute: str) -> bool:
    """Whether a template may read this attribute of the value."""
    if isinstance(owner, Namespace):
        return not attribute.startswith("_")
    return any(isinstance(owner, kind) and attribute in names for kind, names in SAFE)


def allowed(template: nodes.Template) -> nodes.Template:
    """The template with its loops and joins metered. Raises TemplateError if it contains what is not allowed."""
    for count, node in enumerate(_all(template, 0)):
        if count > MAX_NODES:
            raise TemplateError(f"it has more than {MAX_NODES} parts")
        if type(node).__name__ not in ALLOWED:
            raise TemplateError(f"line {node.lineno}: {type(node).__name__} is not allowed here")
        if isinstance(node, nodes.For) and node.recursive:
            raise TemplateError(f"line {node.lineno}: a recursive loop is not allowed here")
        if isinstance(node, nodes.Call) and not _may_call(node.node):
            raise TemplateError(f"line {node.lineno}: it calls something that is not there")
    metered: nodes.Template = _Metered().visit(template)
    return metered


def _all(node: nodes.Node, depth: int) -> Any:
    if depth > DEEPEST:
        raise TemplateError(f"it has more than {DEEPEST} levels of conditions and loops")
    yield node
    for child in node.iter_child_nodes():
        yield from _all(child, depth + isinstance(child, nodes.If | nodes.For | nodes.CondExpr))


def _may_call(called: nodes.Expr) -> bool:
    if isinstance(called, nodes.Name):
        return called.name in GLOBALS or called.name in ("dict", "namespace")
    return isinstance(called, nodes.Getattr) and called.attr in CALLED


class _Metered(NodeTransformer):
    """Every loop counts its turns, every `~` and every literal its size."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 (Jinja's naming)
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_concatenated")

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_checked")

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_sized") if isinstance(node.arg, nodes.Slice) else node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_sized")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_sized")

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "_sized") if node.ctx == "load" else node


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
