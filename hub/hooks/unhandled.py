"""Logs unhandled exceptions of tasks, in one rate-limited line each.

asyncio would print a traceback for each. That takes a millisecond, thousands of times for a plugin that leaks failing
tasks, and exception texts may contain personal data, which must not be logged.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from hub.hooks.limits import Allowance

log = structlog.get_logger("hub")

LOGGED_PER_SECOND, LOG_BURST = 1.0, 10.0


@contextmanager
def unhandled_exceptions_logged() -> Iterator[None]:
    """Install the exception handler on the running loop, and restore the previous one at the end."""
    loop = asyncio.get_running_loop()
    previous = loop.get_exception_handler()
    loop.set_exception_handler(_Logger())
    try:
        yield
    finally:
        loop.set_exception_handler(previous)


class _Logger:
    def __init__(self) -> None:
        self._allowance = Allowance(LOGGED_PER_SECOND, LOG_BURST)
        self._suppressed = 0

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self._allowance.take():
            self._suppressed += 1
            return
        error = context.get("exception")
        log.error(
            "unhandled_exception",
            what=context.get("message"),
            error=type(error).__name__ if error else None,
            where=_line_of(error),
            suppressed=self._suppressed,
        )
        self._suppressed = 0


def _line_of(error: BaseException | None) -> str | None:
    """The line that raised it."""
    frames = error.__traceback__ if error else None
    if frames is None:
        return None
    while frames.tb_next is not None:
        frames = frames.tb_next
    return f"{frames.tb_frame.f_code.co_filename}:{frames.tb_lineno}"
