"""Limits: what each may do, and that many of them cost a call no more than few."""

from collections.abc import ItemsView

from hub.hooks.limits import MIN_PURGE_SIZE, Limiter


class Counted(dict[str, tuple[float, float]]):
    """Counts what is looked through."""

    looked_at = 0

    def items(self) -> ItemsView[str, tuple[float, float]]:
        self.looked_at += len(self)
        return super().items()


def test_a_burst_passes_and_the_rest_waits_its_turn() -> None:
    at = [0.0]
    limiter = Limiter(3, 60, lambda: at[0])
    assert [limiter.wait_seconds("a") for _ in range(4)] == [0, 0, 0, 20]
    assert limiter.wait_seconds("b") == 0
    at[0] = 20
    assert [limiter.wait_seconds("a") for _ in range(2)] == [0, 20]


def test_many_keys_cost_a_call_no_more_than_few() -> None:
    limiter = Limiter(2, 60, lambda: 0.0)
    buckets = limiter._buckets = Counted()
    calls = 20 * MIN_PURGE_SIZE
    for number in range(calls):
        limiter.wait_seconds(f"device {number}")
    assert buckets.looked_at < 3 * calls


def test_full_buckets_are_forgotten() -> None:
    at = [0.0]
    limiter = Limiter(2, 60, lambda: at[0])
    for number in range(50 * MIN_PURGE_SIZE):
        at[0] = number
        limiter.wait_seconds(f"device {number}")
    assert len(limiter._buckets) <= MIN_PURGE_SIZE + 1
