"""Logs: JSON lines on standard error, or plain coloured lines on a terminal. No personal data, ever."""

import logging
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from hub.hooks.limits import Limiter

MOST_OF_A_KIND, KIND_SECONDS = 120, 60.0
MOST_TEXT, MOST_TRACEBACK = 500, 8_000


def set_up(*, as_json: bool, level: int = logging.INFO) -> None:
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_text,
            short,
            Enough(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(_WithoutText(logging.BASIC_FORMAT))
    of_libraries.addFilter(_enough_of_libraries())
    logging.basicConfig(level=logging.WARNING, handlers=[of_libraries])
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it writes addresses into its log lines


class Enough:
    """A structlog processor: of one kind of line so many a minute, and a count of those that were left out.

    Whoever can cause a line can cause a million: a device that floods must not fill the disk by what is said of it.
    """

    def __init__(self, most: int = MOST_OF_A_KIND, seconds: float = KIND_SECONDS) -> None:
        self._limit = Limiter(most, seconds)
        self._left_out: Counter[str] = Counter()

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        kind = str(event.get("event"))
        if self._limit.wait_seconds(kind):
            self._left_out[kind] += 1
            raise structlog.DropEvent
        if left_out := self._left_out.pop(kind, 0):
            event["left_out"] = left_out
        return event


def short(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """No value longer than a line has room for; of a traceback, its end."""
    for key, value in event.items():
        if isinstance(value, str):
            most = MOST_TRACEBACK if key == "exception" else MOST_TEXT
            if len(value) > most:
                event[key] = f"…{value[-most:]}" if key == "exception" else f"{value[:most]}…"
    return event


def _enough_of_libraries() -> Callable[[logging.LogRecord], bool]:
    limit = Limiter(MOST_OF_A_KIND, KIND_SECONDS)
    return lambda record: not limit.wait_seconds(f"{record.name} {record.msg if isinstance(record.msg, str) else ''}")


def without_text(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Instead of structlog's format_exc_info: an exception as its frames and type."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = frames(error)
    return event


def frames(error: BaseException, outer: frozenset[int] = frozenset()) -> str:
    """The traceback without what the exceptions say, as that may be somebody's name: a database quotes rows.

    Those that led to it come first, as Python prints them; `outer` are the ids of those that are being told already.
    """
    outer |= {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = [frames(cause, outer), ""] if cause is not None and id(cause) not in outer else []
    lines = [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    inner = [frames(part, outer) for part in parts if id(part) not in outer]
    return "\n".join([*before, *lines, f"{type(error).__module__}.{type(error).__qualname__}", *inner])


class _WithoutText(logging.Formatter):
    """The same for what libraries log: asyncio, aiohttp."""

    def formatException(  # noqa: N802 (logging's name)
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[Any, ...]
    ) -> str:
        return frames(ei[1]) if ei[1] is not None else ""
