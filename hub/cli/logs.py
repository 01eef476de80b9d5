"""Logging: JSON lines on standard error, or coloured text on a terminal. Never any personal data."""

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

MAX_LINES_PER_KIND, KIND_SECONDS = 120, 60.0
MAX_TEXT_LENGTH, MAX_TRACEBACK_LENGTH = 500, 8_000


def set_up(*, as_json: bool, level: int = logging.INFO) -> None:
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_text,
            truncated,
            RateLimit(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    library_handler = logging.StreamHandler(sys.stderr)
    library_handler.setFormatter(_WithoutText(logging.BASIC_FORMAT))
    library_handler.addFilter(_library_rate_limit())
    logging.basicConfig(level=logging.WARNING, handlers=[library_handler])
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs addresses


class RateLimit:
    """A structlog processor that limits each kind of line per minute, and adds a count of those suppressed.

    Otherwise a device that floods could fill the disk with log lines.
    """

    def __init__(self, limit: int = MAX_LINES_PER_KIND, seconds: float = KIND_SECONDS) -> None:
        self._limit = Limiter(limit, seconds)
        self._suppressed: Counter[str] = Counter()

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        kind = str(event.get("event"))
        if self._limit.wait_seconds(kind):
            self._suppressed[kind] += 1
            raise structlog.DropEvent
        if suppressed := self._suppressed.pop(kind, 0):
            event["suppressed"] = suppressed
        return event


def truncated(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Truncate long values; of a traceback, keep the end."""
    for key, value in event.items():
        if isinstance(value, str):
            limit = MAX_TRACEBACK_LENGTH if key == "exception" else MAX_TEXT_LENGTH
            if len(value) > limit:
                event[key] = f"…{value[-limit:]}" if key == "exception" else f"{value[:limit]}…"
    return event


def _library_rate_limit() -> Callable[[logging.LogRecord], bool]:
    limit = Limiter(MAX_LINES_PER_KIND, KIND_SECONDS)
    return lambda record: not limit.wait_seconds(f"{record.name} {record.msg if isinstance(record.msg, str) else ''}")


def without_text(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """In place of structlog's format_exc_info: an exception's frames and type, without its text."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = frames(error)
    return event


def frames(error: BaseException, outer: frozenset[int] = frozenset()) -> str:
    """The traceback without the exceptions' texts, which may contain personal data: databases quote rows.

    Causes come first, as Python prints them; `outer`: the ids of exceptions that are already included.
    """
    outer |= {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    causes = [frames(cause, outer), ""] if cause is not None and id(cause) not in outer else []
    lines = [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    inner = [frames(part, outer) for part in parts if id(part) not in outer]
    return "\n".join([*causes, *lines, f"{type(error).__module__}.{type(error).__qualname__}", *inner])


class _WithoutText(logging.Formatter):
    """The same for the log records of libraries: asyncio, aiohttp."""

    def formatException(  # noqa: N802 (logging's name)
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[Any, ...]
    ) -> str:
        return frames(ei[1]) if ei[1] is not None else ""
