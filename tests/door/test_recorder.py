"""The journal's thread when the disk is slow, stuck or full."""

import asyncio
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from devices.door.memory import recorder as recorder_module
from devices.door.memory.journal import Applied, Entry, Journal, Receipt
from devices.door.memory.recorder import Recorder
from tests.patience import PATIENCE_SECONDS


class Disk(Journal):
    """A journal whose disk obeys the test."""

    fails = False
    free = threading.Event()

    def apply(self, changes) -> Applied:
        self.free.wait(10)
        if self.fails:
            raise sqlite3.OperationalError("disk I/O error")
        return super().apply(changes)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path)
    disk.free = threading.Event()
    disk.free.set()
    return disk


@pytest.fixture
async def recording(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.05)
    applied: asyncio.Queue[Applied] = asyncio.Queue()
    stuck: asyncio.Queue[list[Entry]] = asyncio.Queue()
    recorder = Recorder(disk, on_applied=applied.put_nowait, on_stuck=stuck.put_nowait)
    running = asyncio.create_task(recorder.run())
    yield recorder, applied, stuck
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    recorder.close()


def event(number: int) -> Entry:
    return Entry(f"1-{number}", "forced_open", b"signed")


async def test_a_slow_disk_does_not_stop_the_loop(disk: Disk, recording) -> None:
    recorder, applied, _ = recording
    disk.free.clear()
    recorder.put(event(1))
    begun = time.monotonic()
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert time.monotonic() - begun < 1
    recorder.put(event(2))
    recorder.put(Receipt("1-1"))
    disk.free.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert [entry.id for entry in (await applied.get()).stored] == ["1-1"]
        assert (await applied.get()).waiting == 1  # the two that queued up went together
    assert recorder.waiting == 1


async def test_a_failing_disk_is_told_of_and_loses_nothing(disk: Disk, recording) -> None:
    recorder, applied, stuck = recording
    disk.fails = True
    recorder.put(event(1))
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await stuck.get() == [event(1)]  # told once, though it is not durable
    assert "disk I/O error" in recorder.problem
    recorder.put(event(2))
    disk.fails = False
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await applied.get()).stored == [event(1)]
        assert (await applied.get()).stored == [event(2)]
    assert recorder.problem is None
    assert stuck.empty()


async def test_a_disk_that_never_comes_back_fills_no_memory(disk: Disk, recording) -> None:
    recorder, _, _ = recording
    disk.free.clear()
    put = [recorder.put(event(number)) for number in range(5000)]
    assert put.count(True) == recorder_module.MAX_QUEUED
    disk.free.set()


async def test_stopping_writes_what_is_queued(disk: Disk, tmp_path: Path) -> None:
    recorder = Recorder(disk, on_applied=lambda _applied: None, on_stuck=lambda _entries: None)
    recorder.put(event(1))
    recorder.put(event(2))
    recorder.close()
    again = Journal(tmp_path)
    assert [entry.id for entry in again.oldest(9)] == ["1-1", "1-2"]
    again.close()
