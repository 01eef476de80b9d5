"""Random visitors, absences and batteries through a day."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

VISITS_BY_HOUR = (0, 0, 0, 0, 0, 0, 0.1, 0.5, 2.0, 5.0, 6.5, 5.5, 3.0, 4.5, 4.0, 2.5, 0.8, 0.3, 0.1, 0.1, 0, 0, 0, 0)
"""Visitors an hour at one kiosk, by the hour of the day: two hills with lunch between them."""
LOOK_AGAIN_SECONDS = 600.0
HOURS_BETWEEN_ABSENCES = 8.0
HOURS_OF_BATTERY = 11.0
CHARGE_FROM_PERCENT = 15.0


@dataclass(frozen=True)
class Habits:
    """`pace` 60 puts an hour into a minute. `hour` is the hour of the day; another one makes a morning at any time."""

    pace: float = 1.0
    goes_away: bool = True
    hour: Callable[[], int] = lambda: time.localtime().tm_hour

    def until_visitor(self, random: Random) -> tuple[float, bool]:
        """Seconds until a visitor comes and True; or until to ask again and False, when nobody comes at this hour."""
        rate = VISITS_BY_HOUR[self.hour() % 24] / 3600 * self.pace
        wait = random.expovariate(rate) if rate else LOOK_AGAIN_SECONDS
        return (wait, True) if wait < LOOK_AGAIN_SECONDS else (LOOK_AGAIN_SECONDS, False)

    def stay(self, random: Random) -> float:
        """Seconds until a visitor leaves: half an hour, more or less."""
        return random.lognormvariate(7.4, 0.6) / self.pace

    def until_absence(self, random: Random) -> float:
        return random.expovariate(1 / (HOURS_BETWEEN_ABSENCES * 3600)) / self.pace

    def absence(self, random: Random) -> float:
        """Seconds: mostly a short gap in the Wi-Fi, now and then a pulled plug."""
        return min(random.lognormvariate(3.0, 1.2), 1800.0)

    def battery(self, began_percent: float, seconds: float) -> int:
        """Falls evenly to CHARGE_FROM_PERCENT, is charged at once, and falls again."""
        span = 100 - CHARGE_FROM_PERCENT
        gone = seconds * self.pace / 3600 / HOURS_OF_BATTERY * span
        return round(100 - (100 - began_percent + gone) % span)
