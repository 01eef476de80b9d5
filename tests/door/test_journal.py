"""The journal on a real disk: what is in it after kill -9, how large it gets, and what a broken one does."""

import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devices.door.deciding.exchange import MAX_ACTED
from devices.door.deciding.flood import HeldBack
from devices.door.memory.journal import QUOTAS, Entry, Journal, Receipt

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from devices.door.memory.journal import Entry, Journal
journal = Journal(Path(sys.argv[1]))
for number in range(100):
    journal.apply([Entry(f"{journal.boot}-{number}", "forced_open", b"x" * 500)])
    print(journal.boot, number, flush=True)
"""


@pytest.fixture
def journal(tmp_path: Path):
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def event(number: int, kind: str = "command_refused") -> Entry:
    return Entry(f"1-{number}", kind, b"signed")


def test_a_receipt_clears_what_it_names(journal: Journal) -> None:
    assert journal.apply([event(1), event(2), Receipt("1-1"), Receipt("never seen")]).waiting == 1
    assert [entry.id for entry in journal.oldest(10)] == ["1-2"]


def test_the_oldest_come_first(journal: Journal) -> None:
    journal.apply([event(number) for number in range(20)])
    assert [entry.id for entry in journal.oldest(3)] == ["1-0", "1-1", "1-2"]


def test_what_is_written_twice_is_kept_once(journal: Journal) -> None:
    journal.apply([event(1)])
    assert journal.apply([event(1)]).waiting == 1


def test_a_full_kind_hands_back_what_finds_no_room(journal: Journal) -> None:
    applied = journal.apply([event(number) for number in range(1000)])
    assert len(applied.stored) == QUOTAS["command_refused"]
    assert len(applied.rejected) == 1000 - QUOTAS["command_refused"]
    assert journal.apply([event(5000, "forced_open")]).rejected == []


def test_of_outcomes_the_oldest_gives_way(journal: Journal) -> None:
    for number in range(300):
        journal.apply([Entry(f"command-{number}", "outcome", b"signed", acted=True)])
    waiting = [entry.id for entry in journal.oldest(1000)]
    assert waiting == [f"command-{number}" for number in range(300 - QUOTAS["outcome"], 300)]
    assert len(journal.acted()) == 300


def test_the_file_stays_small_whatever_happens(journal: Journal, tmp_path: Path) -> None:
    for number in range(3000):
        journal.apply([Entry(f"c-{number}", "outcome", b"x" * 700, acted=True), event(number)])
    assert len(journal.acted()) == MAX_ACTED
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2_000_000


def test_acted_commands_and_counts_survive(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.apply([Entry("c1", "outcome", b"signed", acted=True), Entry("c2", "outcome", b"signed")])
    held = {
        ("command_refused", "late"): HeldBack(7, datetime.now(UTC)),
        ("exit_button", None): HeldBack(1, datetime.now(UTC)),
    }
    journal.remember_held(held)
    journal.remember_held(held)
    journal.close()
    again = Journal(tmp_path)
    assert again.acted() == ["c1"]
    assert again.held() == held
    assert (again.boot, again.mark) == (2, journal.mark)
    again.close()


@pytest.mark.fault
def test_kill_9_loses_nothing_that_was_said_to_be_kept(tmp_path: Path) -> None:
    said: set[str] = set()
    for boot in range(1, 11):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for _ in range(boot * 3):
            said.add("-".join(writer.stdout.readline().split()))
        writer.send_signal(signal.SIGKILL)
        said |= {"-".join(line.split()) for line in writer.stdout if line.endswith("\n")}
        writer.wait(10)
        writer.stdout.close()
        assert any(one.startswith(f"{boot}-") for one in said)
    journal = Journal(tmp_path)
    assert journal.boot == 11
    assert said <= {entry.id for entry in journal.oldest(10_000)}
    journal.close()


def test_a_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.close()
    journal.path.write_bytes(b"this is no database, and long enough to be looked at as one" * 100)
    again = Journal(tmp_path)
    assert again.was_damaged
    assert again.mark != journal.mark  # so that no id of before is used again
    assert again.apply([event(1)]).waiting == 1
    assert list(tmp_path.glob("*.damaged-*"))
    again.close()


def test_a_disk_that_is_full_raises_and_comes_back(journal: Journal) -> None:
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError):
        journal.apply([Entry("1-1", "forced_open", b"x" * 100_000)])
    journal._database.execute("PRAGMA max_page_count = 2000")
    assert journal.apply([event(1)]).waiting == 1
