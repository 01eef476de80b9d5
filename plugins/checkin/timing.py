"""What a kiosk's own time tells about a visit, beside the hub's time of receipt.

The hub decides everything by its own time. A kiosk's time only says that something is odd: its clock is wrong, or the
message waited on its disk. The two look alike in the message; the latest heartbeat tells them apart.
"""

from datetime import datetime, timedelta
from typing import Literal

Timing = Literal["clock", "waited", "late"]
"""`clock`: the kiosk's clock is wrong. `waited`: the message waited in the kiosk. `late`: for so long that the visitor
may have gone again, and the desk decides."""

USUAL = timedelta(minutes=2)
"""What a way may take, and a clock be wrong by, without anybody being told."""
LATE = timedelta(hours=1)
LONGEST_IN_OUTBOX = timedelta(days=31)
WRONG_CLOCK = timedelta(seconds=5)


def by_our_clock(said: datetime, offset_seconds: float | None) -> datetime:
    """The kiosk's time corrected by what its clock is wrong by, as far as that is known."""
    offset = timedelta(seconds=offset_seconds or 0.0)
    return said if abs(offset) <= WRONG_CLOCK else said - offset


def timing_of(said: datetime, received: datetime, offset_seconds: float | None, day_ended: datetime) -> Timing | None:
    """None when nothing is odd.

    `offset_seconds`: the kiosk's clock against ours by its latest heartbeat, None when none has come: then an odd time
    is its clock's. `day_ended`: when the last day ended by our clock; what was said before is no visit of today.
    """
    if offset_seconds is None:
        return "clock" if abs(received - said) > USUAL else None
    then = by_our_clock(said, offset_seconds)
    waited = received - then
    if USUAL < waited <= LONGEST_IN_OUTBOX:
        return "late" if waited > LATE or then < day_ended else "waited"
    return "clock" if abs(received - said) > USUAL else None
