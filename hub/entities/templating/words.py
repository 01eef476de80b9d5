"""The filters, tests and functions that device templates may use: those that ESPHome, Zigbee2MQTT and Tasmota need.

Names and meaning are Home Assistant's (its documentation of templating). Nothing here reads states, files or the
network.
"""

import base64
import math
import statistics
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Protocol

import orjson
import regex
from jinja2 import Undefined
from jinja2.filters import FILTERS as JINJA
from slugify import slugify

REGEX_SECONDS = 0.02
LONGEST_PATTERN = 512
MAX_HASHED = 500
"""Numbers can be chosen so that all their hashes collide."""
MAX_PRECISION = 20
LONGEST_NUMBER = 1000
LONGEST_TIME = 100
MISSING: Any = object()
LONGEST_JOIN = 32_768
LONGEST_RANGE = 10_000


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


class TemplateError(Exception):
    """A template that is invalid, failed or exceeded a limit. The text never contains the message's content."""


class TooSlowError(TemplateError):
    """It took too much time: it must not be rendered again."""


# -- numbers


def to_float(value: Any, default: Any = MISSING) -> Any:
    return _number(float, value, default)


def to_int(value: Any, default: Any = MISSING, base: int = 10) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_NUMBER:
        raise TemplateError(f"a number has at most {LONGEST_NUMBER} digits")
    if isinstance(value, str) and base != 10:  # noqa: PLR2004
        return _number(lambda text: int(text, base), value, default)
    return _number(lambda number: int(float(number)), value, default)


def rounded(value: Any, precision: int = 0, method: str = "common", default: Any = MISSING) -> Any:
    def compute(raw: Any) -> float:
        number = float(raw)
        if not -MAX_PRECISION <= precision <= MAX_PRECISION:
            raise TemplateError(f"`round` takes {MAX_PRECISION} digits at most")
        if method in ("ceil", "floor"):
            whole = math.ceil if method == "ceil" else math.floor
            return float(whole(number * 10**precision) / 10**precision)
        if method == "half":
            return round(number * 2) / 2
        return round(number, precision)

    result = _number(compute, value, default)
    return int(result) if precision == 0 and isinstance(result, float) else result


def is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def to_bool(value: Any, default: Any = MISSING) -> Any:
    words = {"1": True, "true": True, "yes": True, "on": True, "enable": True}
    words |= {"0": False, "false": False, "no": False, "off": False, "disable": False}
    found = words.get(str(value).strip().lower())
    if found is None:
        if default is MISSING:
            raise TemplateError("a value is neither true nor false, and `bool` has no default")
        return default
    return found


def _number(compute: Callable[[Any], Any], value: Any, default: Any) -> Any:
    try:
        return compute(value)
    except (TypeError, ValueError, OverflowError):
        if default is MISSING:
            raise TemplateError("a value is no number, and no default is given") from None
        return default


def _arithmetic(compute: Callable[[float, float], float]) -> Callable[..., Any]:
    def apply(value: Any, other: Any, default: Any = MISSING) -> Any:
        return _number(lambda number: compute(float(number), float(other)), value, default)

    return apply


def logarithm(value: Any, base: Any = math.e, default: Any = MISSING) -> Any:
    return _number(lambda number: math.log(float(number), float(base)), value, default)


def root(value: Any, default: Any = MISSING) -> Any:
    return _number(lambda number: math.sqrt(float(number)), value, default)


# -- time


def now() -> datetime:
    return datetime.now().astimezone()


def utcnow() -> datetime:
    return datetime.now(UTC)


def as_datetime(value: Any, default: Any = MISSING) -> Any:
    """Of a Unix time or an ISO 8601 text."""
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        pass
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None if default is MISSING else default


def as_timestamp(value: Any, default: Any = MISSING) -> Any:
    moment = value if isinstance(value, datetime) else as_datetime(value)
    if moment is None:
        if default is MISSING:
            raise TemplateError("a value is no time")
        return default
    return moment.timestamp()


def timestamp_custom(value: Any, form: str = "%Y-%m-%d %H:%M:%S", local: bool = True, default: Any = MISSING) -> Any:
    def compute(number: Any) -> str:
        moment = datetime.fromtimestamp(float(number), UTC)
        return (moment.astimezone() if local else moment).strftime(form[:100])

    return _number(compute, value, default)


def timestamp_local(value: Any, default: Any = MISSING) -> Any:
    return _number(lambda number: datetime.fromtimestamp(float(number), UTC).astimezone().isoformat(), value, default)


def timestamp_utc(value: Any, default: Any = MISSING) -> Any:
    return _number(lambda number: datetime.fromtimestamp(float(number), UTC).isoformat(), value, default)


def strptime(text: str, form: str, default: Any = MISSING) -> Any:
    if len(str(text)) > LONGEST_TIME or len(str(form)) > LONGEST_TIME:
        raise TemplateError(f"a time and its format have at most {LONGEST_TIME} characters")
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 (the device's format says whether there is a zone)
    except (TypeError, ValueError):
        return text if default is MISSING else default


# -- text


def _searched(pattern: str, flags: int, search: Callable[..., Any]) -> Any:
    if len(pattern) > LONGEST_PATTERN:
        raise TemplateError(f"a regular expression has at most {LONGEST_PATTERN} characters")
    try:
        return search(regex.compile(pattern, flags))
    except TimeoutError:
        raise TooSlowError(f"a regular expression takes more than {REGEX_SECONDS * 1000:.0f} ms") from None
    except regex.error as error:
        raise TemplateError(f"a regular expression is wrong: {error}") from None


def _flags(ignorecase: bool) -> int:
    return int(regex.IGNORECASE) if ignorecase else 0


def regex_match(value: Any, find: str = "", ignorecase: bool = False) -> bool:
    return bool(_searched(find, _flags(ignorecase), lambda it: it.match(str(value), timeout=REGEX_SECONDS)))


def regex_search(value: Any, find: str = "", ignorecase: bool = False) -> bool:
    return bool(_searched(find, _flags(ignorecase), lambda it: it.search(str(value), timeout=REGEX_SECONDS)))


def regex_replace(value: Any = "", find: str = "", replace: str = "", ignorecase: bool = False) -> str:
    if (len(str(value)) + 1) * (len(replace) + 1) > LONGEST_JOIN * 4:
        raise TemplateError("it makes too long a text")
    return str(_searched(find, _flags(ignorecase), lambda it: it.sub(replace, str(value), timeout=REGEX_SECONDS)))


def regex_findall(value: Any, find: str = "", ignorecase: bool = False) -> list[Any]:
    return list(_searched(find, _flags(ignorecase), lambda it: it.findall(str(value), timeout=REGEX_SECONDS)))


def regex_findall_index(value: Any, find: str = "", index: int = 0, ignorecase: bool = False) -> Any:
    return regex_findall(value, find, ignorecase)[index]


def replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text = str(value)
    if len(text) + (text.count(old) if old else len(text) + 1) * len(new) > LONGEST_JOIN:
        raise TemplateError("it makes too long a text")
    return text.replace(old, str(new), count)


def join(values: Iterable[Any], separator: str = "") -> str:
    texts = [str(each) for each in values]
    if sum(len(each) + len(separator) for each in texts) > LONGEST_JOIN:
        raise TemplateError("it makes too long a text")
    return separator.join(texts)


def ordinal(value: Any) -> str:
    number = int(value)
    last = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{last}"


def slug(value: Any, separator: str = "_") -> str:
    return str(slugify(str(value), separator=separator))


# -- structures


def is_defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        raise TemplateError("something it needs is not in the message")
    return value


def to_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()


def from_json(value: Any, default: Any = MISSING) -> Any:
    try:
        return orjson.loads(value)
    except (orjson.JSONDecodeError, TypeError):
        if default is MISSING:
            raise TemplateError("a text is no JSON") from None
        return default


def iif(value: Any, if_true: Any = True, if_false: Any = False, if_none: Any = MISSING) -> Any:
    if value is None and if_none is not MISSING:
        return if_none
    return if_true if value else if_false


def average(*values: Any) -> float:
    return statistics.fmean(_several(values))


def median(*values: Any) -> float:
    return statistics.median(_several(values))


def largest(*values: Any) -> Any:
    """Without `key`, which would call anything."""
    return max(*values)


def smallest(*values: Any) -> Any:
    return min(*values)


def _several(values: tuple[Any, ...]) -> list[float]:
    several = values[0] if len(values) == 1 and isinstance(values[0], list | tuple) else values
    return [float(each) for each in several]


def bounded_range(*bounds: int) -> range:
    result = range(*bounds)
    if len(result) > LONGEST_RANGE:
        raise TemplateError(f"a range has at most {LONGEST_RANGE} numbers")
    return result


def total(values: Iterable[Any], attribute: str | int | None = None) -> float:
    """Of numbers; `sum` of lists would copy them again and again."""
    if attribute is not None:
        values = [one[attribute] for one in values]
    return sum(float(one) if not isinstance(one, int) else one for one in values)


def unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(_bounded(values)))


def as_tuple(values: Iterable[Any] = ()) -> tuple[Any, ...]:
    return tuple(values)


def _bounded(values: Iterable[Any]) -> list[Any]:
    few = list(islice(values, MAX_HASHED + 1))
    if len(few) > MAX_HASHED:
        raise TemplateError(f"more than {MAX_HASHED} keys")
    return few


class Sized(Protocol):
    def sized(self, value: Any) -> Any: ...


class Dictionary:
    """`dict.from_keys([("a", 1)])`, which Zigbee2MQTT's templates use, and `dict(a=1)`."""

    def __init__(self, meter: Sized) -> None:
        self._meter = meter

    def from_keys(self, pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        result: dict[Any, Any] = self._meter.sized(dict(_bounded(pairs)))
        return result

    def __call__(self, **values: Any) -> dict[str, Any]:
        result: dict[str, Any] = self._meter.sized(values)
        return result


_FROM_JINJA = words(
    "abs capitalize count d default dictsort first forceescape items last length list lower map max min "
    "reject rejectattr reverse select selectattr sort string title trim truncate upper "
    "urlencode "
)

FILTERS: dict[str, Any] = {name: JINJA[name] for name in _FROM_JINJA} | {
    "add": _arithmetic(lambda a, b: a + b),
    "as_datetime": as_datetime,
    "as_timestamp": as_timestamp,
    "average": average,
    "base64_decode": lambda value: base64.b64decode(value).decode(),
    "base64_encode": lambda value: base64.b64encode(str(value).encode()).decode(),
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b,
    "bool": to_bool,
    "contains": lambda value, item: item in value,
    "float": to_float,
    "from_json": from_json,
    "iif": iif,
    "int": to_int,
    "is_defined": is_defined,
    "is_number": is_number,
    "join": join,
    "log": logarithm,
    "median": median,
    "multiply": _arithmetic(lambda a, b: a * b),
    "ord": ord,
    "ordinal": ordinal,
    "regex_findall": regex_findall,
    "regex_findall_index": regex_findall_index,
    "regex_match": regex_match,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "replace": replace,
    "round": rounded,
    "slugify": slug,
    "sqrt": root,
    "sum": total,
    "timestamp_custom": timestamp_custom,
    "timestamp_local": timestamp_local,
    "timestamp_utc": timestamp_utc,
    "to_json": to_json,
    "tojson": to_json,
    "unique": unique,
}

TESTS = words(
    "boolean defined divisibleby eq equalto even false float ge gt in integer iterable le lower lt "
    "mapping ne none number odd sameas sequence string true undefined upper == != < <= > >= greaterthan "
    "lessthan filter test "
)

GLOBALS: dict[str, Any] = {
    "as_datetime": as_datetime,
    "as_timestamp": as_timestamp,
    "average": average,
    "bool": to_bool,
    "e": math.e,
    "float": to_float,
    "iif": iif,
    "int": to_int,
    "is_number": is_number,
    "log": logarithm,
    "max": largest,
    "median": median,
    "min": smallest,
    "now": now,
    "pi": math.pi,
    "range": bounded_range,
    "slugify": slug,
    "sqrt": root,
    "strptime": strptime,
    "timedelta": timedelta,
    "tuple": as_tuple,
    "utcnow": utcnow,
    "zip": zip,
}
