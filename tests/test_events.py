"""One event that cannot be taken keeps nobody waiting but what is of its own subject."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from hub.store import events as module
from hub.store.events import Event, Events
from hub.store.store import Store
from hub.store.tables import parked_event
from tests.conftest import until

KIND = "test.happened"


class Taker:
    def __init__(self, *bad: str) -> None:
        self.bad = set(bad)
        self.taken: list[tuple[str, int]] = []

    async def take(self, found: list[Event]) -> None:
        for one in found:
            if one.subject in self.bad:
                raise ValueError("no")
        self.taken += [(one.subject, one.data["n"]) for one in found]

    def of(self, subject: str) -> list[int]:
        return list(dict.fromkeys(n for name, n in self.taken if name == subject))


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    one = Store(store_url)
    await one.open()
    yield one
    await one.close()


@asynccontextmanager
async def following(store: Store, taker: Any, name: str = "test:happened") -> AsyncIterator[Events]:
    events = Events(store)
    place = await events.join(name)
    running = asyncio.create_task(events.follow(name, place, {KIND}, taker.take))
    try:
        yield events
    finally:
        running.cancel()
        await asyncio.wait({running})


async def emit(store: Store, events: Events, subject: str, *numbers: int) -> None:
    for n in numbers:
        await store.write(lambda connection, n=n: events.emit(connection, KIND, [subject], n=n))


async def test_one_bad_subject_waits_alone(store: Store) -> None:
    taker = Taker("bad")
    async with following(store, taker) as events:
        await emit(store, events, "bad", 1)
        for n in range(60):
            await emit(store, events, f"good-{n}", n)
        await emit(store, events, "bad", 2)
        await until(lambda: len({name for name, _ in taker.taken}) == 60)
        await until(lambda: events.parked["test:happened"] == 2)
        taker.bad.clear()
        await until(lambda: taker.of("bad") == [1, 2])  # in their order
        await until(lambda: events.parked["test:happened"] == 0)
    assert await store.read(lambda connection: connection.execute(select(parked_event)).all()) == []


async def test_what_is_parked_lives_through_a_restart(store: Store) -> None:
    taker = Taker("bad")
    async with following(store, taker) as events:
        await emit(store, events, "bad", 1)
        await until(lambda: events.parked.get("test:happened"))
        await events.forget(module.now())
    taker.bad.clear()
    async with following(store, taker) as events:
        await emit(store, events, "bad", 2)
        await until(lambda: taker.of("bad") == [1, 2])


async def test_what_hangs_keeps_the_others_waiting_for_its_own_time_only(store: Store) -> None:
    class Slow(Taker):
        async def take(self, found: list[Event]) -> None:
            if any(one.subject == "slow" for one in found):
                await asyncio.sleep(1)
                raise TimeoutError
            await super().take(found)

    taker = Slow()
    async with following(store, taker) as events:
        await emit(store, events, "slow", 1)
        await until(lambda: events.parked.get("test:happened"))
        for n in range(30):
            await emit(store, events, f"good-{n}", n)
            await asyncio.sleep(0.05)
        await until(lambda: len(taker.taken) == 30)


async def test_after_a_day_it_is_given_up_and_what_waited_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(module, "MIN_ATTEMPTS", 3)
    monkeypatch.setattr(module, "ABANDON_AFTER", module.timedelta())

    class First(Taker):
        async def take(self, found: list[Event]) -> None:
            if any(one.data["n"] == 1 for one in found):
                raise ValueError("no")
            await super().take(found)

    taker = First()
    async with following(store, taker) as events:
        await emit(store, events, "x", 1, 2)
        await until(lambda: taker.of("x") == [2])
        assert events.abandoned == {"test:happened": 1}


async def test_with_everything_away_nothing_new_is_begun_and_all_comes_at_once_afterwards(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PARKED_SUBJECTS", 10)

    class Away(Taker):
        is_away = True

        async def take(self, found: list[Event]) -> None:
            if self.is_away:
                raise OSError
            await super().take(found)

    taker = Away()
    async with following(store, taker) as events:
        for n in range(100):
            await emit(store, events, f"s{n}", n)
        await until(lambda: events.parked.get("test:happened"))
        await asyncio.sleep(0.3)
        assert events.parked["test:happened"] < 10 + module.BATCH_SIZE
        taker.is_away = False
        await until(lambda: len({name for name, _ in taker.taken}) == 100)
