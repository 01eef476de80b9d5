"""The clock that a challenge's age is measured by, and whether the time of day may decide anything."""

import ctypes
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from devices.access.deciding import CLOCK_SLACK

NAME = "clock"
NOTE_SECONDS = 60.0
"""So often the newest time is written down while nothing happens."""
PATIENCE_SECONDS = 300.0
"""A machine that has just started needs a while to find its time server."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of `adjtimex(2)`."""


def steady() -> float:
    """Seconds that only grow, also through suspend, and that nobody can set (Linux: CLOCK_BOOTTIME).

    CLOCK_MONOTONIC stands still while a machine sleeps: a challenge would wake up as young as it fell asleep.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def utc() -> datetime:
    """What the machine calls the time, right or wrong."""
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
    """Another one after each start of the machine; empty where that cannot be known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class TimeOfDay:
    """The time of day, as far as it can be trusted.

    A machine without a battery starts at the hour at which its power went, or in another year. So the time counts
    only once the system says that it follows a time server, and afterwards for as long as it goes as steadily as
    `steady`, also over restarts of this program. And it is never behind the newest time that is known: of the list
    in use, or of what happened here while the time was trusted.

    A clock with a battery of its own follows no server: `is_synchronised` is always true then.
    """

    def __init__(
        self,
        lasting: Mapping[str, str],
        steady: Callable[[], float],
        *,
        wall: Callable[[], datetime] = utc,
        is_synchronised: Callable[[], bool] = is_synchronised,
        start: str | None = None,
    ) -> None:
        """`lasting`: what `note` had kept before. `start` names this start of the machine."""
        self._wall = wall
        self._steady = steady
        self._is_synchronised = is_synchronised
        self._start = machine_start() if start is None else start
        kept = orjson.loads(lasting.get(NAME, "{}"))
        self._newest = datetime.fromisoformat(kept["newest"]) if "newest" in kept else LONG_AGO
        self._ahead: float | None = kept["ahead"] if self._start and kept.get("start") == self._start else None
        self._noted_at = float("-inf")
        self._since: float | None = None
        self._is_told = False

    def now(self) -> datetime | None:
        """None: nobody knows what time it is."""
        now = self._wall()
        ahead = now.timestamp() - self._steady()
        if self._is_synchronised():
            self._ahead = ahead
        if self._ahead is None or abs(ahead - self._ahead) > CLOCK_SLACK.total_seconds():
            return None
        return now if now >= self._newest - CLOCK_SLACK else None

    def is_at_least(self, time_of_list: datetime) -> None:
        """The hub has signed a list that it made then."""
        self._newest = max(self._newest, time_of_list)

    def note(self, *, at_once: bool) -> tuple[str, str] | None:
        """What must outlive a restart; None when it is untrusted, or not yet time for it again."""
        now, passed = self.now(), self._steady() - self._noted_at
        if now is None or not (at_once or passed >= NOTE_SECONDS):
            return None
        self._newest, self._noted_at = max(self._newest, now), self._steady()
        kept = {"newest": self._newest.isoformat(), "start": self._start, "ahead": self._ahead}
        return NAME, orjson.dumps(kept).decode()

    def changed(self) -> bool | None:
        """Once each: False when it has been untrusted for PATIENCE_SECONDS, True when it is trusted again."""
        if self.now() is not None:
            was_told, self._is_told, self._since = self._is_told, False, None
            return True if was_told else None
        if self._since is None:
            self._since = self._steady()
        if self._is_told or self._steady() - self._since < PATIENCE_SECONDS:
            return None
        self._is_told = True
        return False
