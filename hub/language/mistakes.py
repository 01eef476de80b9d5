"""Error texts for people, in place of pydantic's, which are for programmers.

Each text continues a sentence that begins with the setting's name: `web.port: must be at most 65535`.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic_core import core_schema

from hub.language.translation import N_, fill

Words = Callable[..., str]
"""Translates a message and fills in its values: `Pages.words_of(…)`, or `in_english`."""


class MistakeError(ValueError):
    """Raised by a validator: a translatable `message` (`N_`), and the `values` to fill in."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(fill(message, values))
        self.message = message
        self.values = values


def in_english(message: str, **values: object) -> str:
    return fill(message, values)


def described(item: Mapping[str, Any], words: Words = in_english) -> str:
    """The text for one of `ValidationError.errors()`, which must include its context."""
    kind, context = item["type"], item.get("ctx", {})
    error = context.get("error")
    if isinstance(error, MistakeError):
        return words(error.message, **error.values)
    beginnings = (text for beginning, text in BEGINNINGS.items() if kind.startswith(beginning))
    message = TEXTS.get(kind) or next(beginnings, OTHERWISE)
    is_known = kind in PYDANTICS or message != OTHERWISE
    if isinstance(error, Exception) or not is_known:  # a plugin's text, which may be in its catalogue
        return words(str(error or item["msg"]))
    values = {name: _plain(value) for name, value in context.items()}
    if kind in ("string_too_short", "too_short") and context.get("min_length") == 1:
        message = N_("must not be empty")
    elif kind in ("literal_error", "enum", "union_tag_invalid"):
        message, values["expected"] = CHOICE, _listed(context.get("expected", context.get("expected_tags", "")))
    return words(message, **{name: value for name, value in values.items() if f"%({name})s" in message})


def _plain(value: object) -> object:
    """720.0 as 720, other values unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _listed(expected: str) -> str:
    """`'a', 'b' or 'c'` → a, b, c, which needs no translation."""
    return ", ".join(one.strip().strip("'") for one in expected.replace("' or '", "', '").split(","))


PYDANTICS = frozenset(get_args(core_schema.ErrorType))

OTHERWISE = N_("is nothing that can stand here")
CHOICE = N_("must be one of %(expected)s")
NUMBER, WHOLE, LIST = N_("must be a number"), N_("must be a whole number"), N_("must be a list")
SECTION = N_("must be a section with settings of its own")
TEXTS = {
    "missing": N_("must be given"),
    "union_tag_not_found": N_("must say its kind"),
    "extra_forbidden": N_("there is no such setting"),
    "string_pattern_mismatch": N_("does not have the form that it must have"),
    "string_too_short": N_("must have at least %(min_length)s characters"),
    "string_too_long": N_("may have at most %(max_length)s characters"),
    "too_short": N_("must have at least %(min_length)s entries"),
    "too_long": N_("may have at most %(max_length)s entries"),
    "greater_than": N_("must be more than %(gt)s"),
    "greater_than_equal": N_("must be at least %(ge)s"),
    "less_than": N_("must be less than %(lt)s"),
    "less_than_equal": N_("must be at most %(le)s"),
    "finite_number": NUMBER,
    "none_required": N_("must be empty"),
    "dict_type": SECTION,
    "mapping_type": SECTION,
    "list_type": LIST,
    "tuple_type": LIST,
    "set_type": LIST,
    "frozen_set_type": LIST,
    "iterable_type": LIST,
}
BEGINNINGS = {
    "int_": WHOLE,
    "float_": NUMBER,
    "decimal_": NUMBER,
    "string_": N_("must be a text"),
    "bool_": N_("must be true or false"),
    "model_": SECTION,
    "path_": N_("must be the path of a file or folder"),
    "url_": N_("must be an address such as https://kommunevert.example"),
    "datetime_": N_("must be a date with a time of day"),
    "date_": N_("must be a date such as 2026-12-24"),
    "time_": N_("must be a time of day such as 06:00"),
}
