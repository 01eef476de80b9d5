"""The clock that a challenge's age is measured by."""

import time


def steady() -> float:
    """Seconds that only grow, also through suspend, and that nobody can set (Linux: CLOCK_BOOTTIME).

    CLOCK_MONOTONIC stands still while a machine sleeps: a challenge would wake up as young as it fell asleep.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
