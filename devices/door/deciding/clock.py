"""The monotonic clock for the age of challenges, and whether the time of day can be trusted."""

import ctypes
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from devices.access.deciding import CLOCK_SLACK

NAME = "clock"
SAVE_SECONDS = 60.0
"""Interval for persisting the newest time while nothing happens."""
PATIENCE_SECONDS = 300.0
"""A machine that has just started needs a while to find its time server."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of `adjtimex(2)`."""


def steady() -> float:
    """Monotonic seconds, also through suspend (Linux: CLOCK_BOOTTIME).

    CLOCK_MONOTONIC stops during suspend, so that a challenge would stay valid for too long.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def utc() -> datetime:
    """The system's time, right or wrong."""
    return datetime.now(UTC)


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


def is_synchronised() -> bool:
    """Whether the system says that its clock follows a time server: `timedatectl` asks the kernel the same."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):  # another system than Linux
        return False
    read = _Timex()
    return adjtimex(ctypes.byref(read)) >= 0 and not read.status & UNSYNCHRONISED


def machine_start() -> str:
    """The kernel's boot id; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class TimeOfDay:
    """The time of day, as far as it can be trusted.

    A machine without a battery-backed clock starts with a wrong time. So the time is trusted only once the system is
    synchronised with a time server, and then as long as it advances like `steady`, also over restarts of this program.
    It must not be behind the newest known time, of the active list or of what happened here.

    For a battery-backed clock without a time server `is_synchronised` is always true.
    """

    def __init__(
        self,
        persisted: Mapping[str, str],
        steady: Callable[[], float],
        *,
        wall: Callable[[], datetime] = utc,
        is_synchronised: Callable[[], bool] = is_synchronised,
        start: str | None = None,
    ) -> None:
        """`persisted`: what `save` returned before the last start. `start` names this boot of the machine."""
        self._wall = wall
        self._steady = steady
        self._is_synchronised = is_synchronised
        self._start = machine_start() if start is None else start
        stored = orjson.loads(persisted.get(NAME, "{}"))
        self._newest = datetime.fromisoformat(stored["newest"]) if "newest" in stored else LONG_AGO
        self._ahead: float | None = stored["ahead"] if self._start and stored.get("start") == self._start else None
        self._saved_at = float("-inf")
        self._since: float | None = None
        self._is_reported = False

    def now(self) -> datetime | None:
        """The time; None while it cannot be trusted."""
        now = self._wall()
        ahead = now.timestamp() - self._steady()
        if self._is_synchronised():
            self._ahead = ahead
        if self._ahead is None or abs(ahead - self._ahead) > CLOCK_SLACK.total_seconds():
            return None
        return now if now >= self._newest - CLOCK_SLACK else None

    def advance_to(self, time_of_list: datetime) -> None:
        """The time cannot be before this: the hub has signed a list made then."""
        self._newest = max(self._newest, time_of_list)

    def save(self, *, at_once: bool) -> tuple[str, str] | None:
        """What to persist; None while the time is untrusted, or SAVE_SECONDS have not passed."""
        now, passed = self.now(), self._steady() - self._saved_at
        if now is None or not (at_once or passed >= SAVE_SECONDS):
            return None
        self._newest, self._saved_at = max(self._newest, now), self._steady()
        stored = {"newest": self._newest.isoformat(), "start": self._start, "ahead": self._ahead}
        return NAME, orjson.dumps(stored).decode()

    def changed(self) -> bool | None:
        """False once the time has been untrusted for PATIENCE_SECONDS, True once it is trusted again, else None."""
        if self.now() is not None:
            was_reported, self._is_reported, self._since = self._is_reported, False, None
            return True if was_reported else None
        if self._since is None:
            self._since = self._steady()
        if self._is_reported or self._steady() - self._since < PATIENCE_SECONDS:
            return None
        self._is_reported = True
        return False
