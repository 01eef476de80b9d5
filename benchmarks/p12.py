"""P12: a thousand jobs of one plugin that are due at once, each with a write: what they do to everybody else.

Beside them, a write like a door command's intent every 10 ms, the loop's own lateness, and another plugin's jobs.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert

from benchmarks.bench_hub import percentile
from hub.hooks.guard import Owner
from hub.store.live import Live
from hub.store.store import Store, now
from hub.store.tables import event, metadata
from hub.work.job_rows import Run
from hub.work.jobs import Jobs

STORM = 1_000
OTHERS = 60
PROBE_SECONDS = 0.01
QUIET_SECONDS = 2.0


class _Host:
    def owner(self, name: str) -> Owner | None:
        del name
        return None

    def raised(self, plugin: str, where: str, error: BaseException) -> None:
        raise AssertionError(f"{plugin} {where}") from error


async def run(seconds: float) -> dict[str, float]:
    del seconds
    quiet, storm = await measured(with_storm=False), await measured(with_storm=True)
    return {f"quiet: {name}": value for name, value in quiet.items()} | {
        f"1 000 due at once: {name}": value for name, value in storm.items()
    }


async def measured(*, with_storm: bool) -> dict[str, float]:
    with TemporaryDirectory(prefix="kommunevert-bench-") as folder:
        store = Store(f"sqlite:///{Path(folder) / 'bench.db'}")
        await store.open()
        await store.write(metadata.create_all)
        try:
            return await _measured(store, with_storm=with_storm)
        finally:
            await store.close()


async def _measured(store: Store, *, with_storm: bool) -> dict[str, float]:
    jobs = Jobs(store, _Host(), Live(), ZoneInfo("Europe/Oslo"))
    done, late = asyncio.Event(), list[float]()
    left = STORM

    async def works(run: Run) -> None:
        nonlocal left
        await store.write(lambda connection: run.settle(connection) and _write(connection, run.key))
        left -= 1
        if left == 0:
            done.set()

    async def other(run: Run) -> None:
        late.append((now() - run.due_at).total_seconds())

    jobs.on_due("storm", "work", works)
    jobs.on_due("other", "look", other)
    begins = now() + timedelta(seconds=1)

    def ask(connection: Connection) -> None:
        for number in range(STORM if with_storm else 0):
            jobs.at(connection, "storm", "work", f"{number}", begins, {})
        for number in range(OTHERS):
            jobs.at(connection, "other", "look", f"{number}", begins + number * timedelta(milliseconds=30), {})

    await store.write(ask)
    running = asyncio.create_task(jobs.run())
    await asyncio.sleep(1)
    began = time.perf_counter()
    probes, lags = list[float](), list[float]()
    watchers = [
        asyncio.create_task(
            _each(PROBE_SECONDS, probes, lambda: store.write(lambda connection: _write(connection, "door")))
        ),
        asyncio.create_task(_each(0.0, lags, lambda: asyncio.sleep(0.001))),
    ]
    if with_storm:
        await done.wait()
    else:
        await asyncio.sleep(QUIET_SECONDS)
    took = time.perf_counter() - began
    while len(late) < OTHERS:
        await asyncio.sleep(0.01)
    for task in (*watchers, running):
        task.cancel()
    await asyncio.gather(*watchers, running, return_exceptions=True)
    figures = {
        "a door's write, p50, ms": percentile(probes, 0.5) * 1000,
        "a door's write, p99, ms": percentile(probes, 0.99) * 1000,
        "the loop late, p99, ms": (percentile(lags, 0.99) - 0.001) * 1000,
        "another plugin's job late, p50, ms": percentile(late, 0.5) * 1000,
        "another plugin's job late, p99, ms": percentile(late, 0.99) * 1000,
    }
    return figures | ({"all done, s": took} if with_storm else {})


async def _each(pause: float, into: list[float], what: Callable[[], Awaitable[object]]) -> None:
    while True:
        began = time.perf_counter()
        await what()
        into.append(time.perf_counter() - began)
        await asyncio.sleep(pause)


def _write(connection: Connection, subject: str) -> bool:
    row = {"happened_at": now(), "kind": "bench.written", "subject": subject, "data": {}}
    connection.execute(insert(event), row)
    return True
