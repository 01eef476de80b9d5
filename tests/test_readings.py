"""What is kept in memory of the store is what was read last, also where an older reading takes longer."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from hub.calendar.exceptions import Exceptions, SetDay
from hub.hosting.choices import Choice, Choices

OLD, NEW = (SetDay("", date(2026, 12, day), (), "anna") for day in (1, 2))
CHOSEN = Choice(False, None, datetime(2026, 11, 29, tzinfo=UTC), "anna")


class SlowAtFirst:
    """A store whose first reading sees what was there when it began, and comes to an end after the second."""

    def __init__(self, *results: Any) -> None:
        self.results = iter(results)
        self.is_first = True

    async def read(self, _work: Callable[..., Any]) -> Any:
        result = next(self.results)
        if self.is_first:
            self.is_first = False
            for _ in range(10):  # turns of the loop, in which the second could end
                await asyncio.sleep(0)
        return result


async def twice(read: Callable[[], Any]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(read())


async def test_what_it_has_chosen_for_a_plugin() -> None:
    choices = Choices(SlowAtFirst({}, {"signage": CHOSEN}), None)  # type: ignore[arg-type]
    await twice(choices.read)
    assert choices.get("signage") == CHOSEN


async def test_days_with_other_hours() -> None:
    exceptions = Exceptions(SlowAtFirst([OLD], [OLD, NEW]), type("Days", (), {})())  # type: ignore[arg-type]
    await twice(exceptions.load)
    assert exceptions.days == [OLD, NEW]
