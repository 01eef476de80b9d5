"""Compares a kiosk's time of registration with the hub's time of receipt.

The hub decides everything by its own time. A difference means that the kiosk's clock is wrong, or that the message
waited in its outbox; the clock offset from the latest heartbeat tells these apart.
"""

from datetime import datetime, timedelta
from typing import Literal

Timing = Literal["clock", "waited", "late"]
"""`clock`: the kiosk's clock is wrong. `waited`: the message waited in the kiosk. `late`: for so long that the visitor
may have gone again, and the desk decides."""

TOLERANCE = timedelta(minutes=2)
"""A delay or a clock error below this is normal."""
LATE = timedelta(hours=1)
LONGEST_IN_OUTBOX = timedelta(days=31)
WRONG_CLOCK = timedelta(seconds=5)


def by_our_clock(device_time: datetime, offset_seconds: float | None) -> datetime:
    """The kiosk's time corrected by its clock offset, as far as that is known."""
    offset = timedelta(seconds=offset_seconds or 0.0)
    return device_time if abs(offset) <= WRONG_CLOCK else device_time - offset


def timing_of(
    device_time: datetime, received: datetime, offset_seconds: float | None, day_ended: datetime
) -> Timing | None:
    """None when the times agree.

    `offset_seconds`: how far the kiosk's clock is ahead by its latest heartbeat, None when none has come: then a
    difference is taken for a wrong clock. `day_ended`: when the last day ended by our clock; what was registered
    before is late.
    """
    if offset_seconds is None:
        return "clock" if abs(received - device_time) > TOLERANCE else None
    then = by_our_clock(device_time, offset_seconds)
    waited = received - then
    if TOLERANCE < waited <= LONGEST_IN_OUTBOX:
        return "late" if waited > LATE or then < day_ended else "waited"
    return "clock" if abs(received - device_time) > TOLERANCE else None
