"""What tasks raise that nobody waits for: told in one line each, and not all of them.

asyncio would print the whole traceback of every one. That costs a millisecond each, which a plugin that leaks failing
tasks multiplies by thousands, and a message may hold what must not stand in a log.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from hub.hooks.limits import Allowance

log = structlog.get_logger("hub")

TOLD_PER_SECOND, TOLD_AT_ONCE = 1.0, 10.0


@contextmanager
def strays_told() -> Iterator[None]:
    """On the running loop, until the end; then it is as before."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_Strays())
    try:
        yield
    finally:
        loop.set_exception_handler(before)


class _Strays:
    def __init__(self) -> None:
        self._allowance = Allowance(TOLD_PER_SECOND, TOLD_AT_ONCE)
        self._untold = 0

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self._allowance.take():
            self._untold += 1
            return
        error = context.get("exception")
        log.error(
            "stray_failure",
            what=context.get("message"),
            error=type(error).__name__ if error else None,
            where=_where(error),
            untold=self._untold,
        )
        self._untold = 0


def _where(error: BaseException | None) -> str | None:
    """The line that raised it."""
    frames = error.__traceback__ if error else None
    if frames is None:
        return None
    while frames.tb_next is not None:
        frames = frames.tb_next
    return f"{frames.tb_frame.f_code.co_filename}:{frames.tb_lineno}"
