"""The two small rules with a clock: what is counted, and what is forced."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.door.deciding.flood import BURST, FloodGate, HeldBack
from devices.door.deciding.passage import EXIT_SECONDS, GRACE_SECONDS, Passage

START = datetime(2026, 11, 23, 2, 13, tzinfo=UTC)
KEY = ("command_refused", "late")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=200))
def test_every_event_is_told_or_counted(events: list[tuple[str, float]]) -> None:
    now = 0.0
    gate = FloodGate(lambda: now)
    told = 0
    for kind, wait in events:
        now += wait
        told += gate.admits((kind, None), START + timedelta(seconds=now))
        told += sum(held.count for held in gate.due().values())
    assert told + sum(held.count for held in gate.held.values()) == len(events)


def test_a_flood_is_one_event_with_a_count() -> None:
    now = 0.0
    gate = FloodGate(lambda: now)
    told = [gate.admits(KEY, START + timedelta(seconds=second)) for second in range(1000)]
    assert sum(told) == BURST
    assert gate.due() == {}
    now = 11.0
    assert gate.due() == {KEY: HeldBack(1000 - BURST, START + timedelta(seconds=BURST))}
    assert gate.held == {}


def test_one_reason_does_not_silence_another() -> None:
    gate = FloodGate(lambda: 0.0)
    for _ in range(100):
        gate.admits(KEY, START)
    assert gate.admits(("forced_open", None), START)


def test_counts_of_before_the_restart_are_told() -> None:
    gate = FloodGate(lambda: 0.0, {KEY: HeldBack(7, START)})
    assert gate.due() == {KEY: HeldBack(7, START)}


@pytest.mark.parametrize(("waited", "forced"), [(0, False), (1 + GRACE_SECONDS, False), (1.1 + GRACE_SECONDS, True)])
def test_a_grant_expects_an_opening_for_a_while(waited: float, forced: bool) -> None:
    now = 50.0
    passage = Passage(lambda: now)
    assert passage.is_forced()
    passage.granted(1000)
    now += waited
    assert passage.is_forced() == forced


def test_a_short_grant_does_not_shorten_the_exit() -> None:
    now = 50.0
    passage = Passage(lambda: now)
    passage.exit_pressed()
    passage.granted(100)
    now += EXIT_SECONDS
    assert not passage.is_forced()
