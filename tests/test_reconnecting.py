"""How long a device waits before it connects again: little while somebody may wait for it, and ever longer after that."""

import pytest

from devices.wire.reconnecting import CUTS_OF_TAKEOVER, SETTLED_SECONDS, ReconnectPolicy, longest_wait


class Line:
    """A connection's ends, told to ReconnectPolicy at times of the test's own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.coming_back = ReconnectPolicy(lambda: self.now)

    def fails(self) -> float:
        return self.coming_back.lost()[0]

    def holds(self, seconds: float, *, is_reported: bool = False) -> tuple[float, bool]:
        self.coming_back.connected()
        self.now += seconds
        return self.coming_back.lost(is_reported=is_reported)

    def is_away(self, seconds: float) -> list[float]:
        """The waits of an outage that lasts so long; each is waited out in full."""
        end, waits = self.now + seconds, [self.fails()]
        while self.now + waits[-1] < end:
            self.now += waits[-1]
            waits.append(self.fails())
        return waits


def test_at_most_five_seconds_in_the_first_five_minutes() -> None:
    waits = Line().is_away(300)
    assert waits[:7] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert max(waits) == 5.0


def test_it_grows_slowly_after_that_and_has_a_bound() -> None:
    assert [round(longest_wait(1000, minutes * 60), 3) for minutes in (5, 6, 10, 20, 30, 600)] == [5, 6, 10, 20, 30, 30]
    waits = Line().is_away(86_400)
    assert waits == sorted(waits)
    assert waits[-1] == 30


def test_a_connection_that_held_ends_the_outage() -> None:
    line = Line()
    line.is_away(3600)
    assert line.holds(SETTLED_SECONDS) == (0.2, False)
    assert line.fails() == 0.4


def test_one_that_did_not_hold_does_not() -> None:
    """A broker that accepts and closes at once is not asked five times a second for the rest of the day."""
    line = Line()
    line.is_away(1200)
    assert line.holds(0.1)[0] > 15


@pytest.mark.parametrize("down_seconds", [0, 1, 5, 12])
def test_a_hub_that_is_restarted_twenty_times_is_found_within_five_seconds(down_seconds: float) -> None:
    """Also where each connection is cut within moments, and the next succeeds at the first try."""
    line = Line()
    for _ in range(20):
        waits, down_until = [line.holds(10)[0]], line.now + down_seconds
        while line.now + waits[-1] < down_until:
            line.now += waits[-1]
            waits.append(line.fails())
        line.now += waits[-1]
        assert max(waits) <= 5


def test_cut_often_says_another_has_the_account_and_so_does_the_broker() -> None:
    line = Line()
    assert [line.holds(1)[1] for _ in range(CUTS_OF_TAKEOVER)] == [False] * (CUTS_OF_TAKEOVER - 1) + [True]
    assert line.coming_back.taken_over == 1
    line = Line()
    assert [line.holds(1, is_reported=True) for _ in range(3)] == [(5, True), (10, True), (20, True)]
    assert line.coming_back.taken_over == 3
    assert [line.holds(1, is_reported=True)[0] for _ in range(12)][-1] == 300
    assert line.holds(SETTLED_SECONDS) == (0.2, False)


def test_a_refusal_between_says_that_nobody_took_it() -> None:
    line = Line()
    for _ in range(10):
        assert line.holds(1)[1] is False
        line.fails()
