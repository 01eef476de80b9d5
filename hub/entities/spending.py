"""What reading the messages of found devices may take of the loop's time."""

from hub.entities.availability import Listen

MESSAGE_SECONDS = 0.05
CHEAP_SECONDS = 0.002
REST_SECONDS = 10.0
TOPIC_SECONDS, ALL_SECONDS = 0.3, 1.5
"""What costly messages of one topic, and of all, may take of REST_SECONDS."""


class Budget:
    """Seconds that may be spent within each span of time."""

    __slots__ = ("_began", "_most", "_spent")

    def __init__(self, most: float) -> None:
        self._most = most
        self._began = 0.0
        self._spent = 0.0

    def spend(self, now: float, seconds: float) -> bool:
        """False when it was too much."""
        if now - self._began > REST_SECONDS:
            self._began, self._spent = now, 0.0
        self._spent += seconds
        return self._spent <= self._most


class Group(list[Listen]):
    """Who listens to one topic filter, and what their reading costs."""

    __slots__ = ("budget", "resting_until")

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(TOPIC_SECONDS)
        self.resting_until = 0.0
