"""Public holidays are worked out by a process of their own, and kept in the data folder."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from hub.calendar import public_holidays
from hub.calendar.public_holidays import PublicHolidays, worked_out

pytestmark = pytest.mark.slow  # processes of its own
TODAY = date(2026, 11, 30)


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    public_holidays._by_a_child.cache_clear()


async def test_a_child_works_them_out_and_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = PublicHolidays("NO")
    await first.prepare(TODAY, tmp_path)
    public_holidays._by_a_child.cache_clear()
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_options: pytest.fail("another process was started"))
    monkeypatch.setattr(public_holidays, "worked_out", lambda *_years: pytest.fail("they were worked out here"))

    second = PublicHolidays("NO")
    await second.prepare(TODAY, tmp_path)

    for year in range(2025, 2030):
        assert second.of(year) == first.of(year) == worked_out("NO", year, year)[year]
    assert second.of(2027)[date(2027, 5, 17)] == "Constitution Day; Pentecost Monday"


@pytest.mark.parametrize("spoilt", ["", "{", "[]", '{"package": "0"}', '{"package": "VERSION", "years": {"2026": 1}}'])
async def test_a_file_that_is_no_good_is_made_anew(tmp_path: Path, spoilt: str) -> None:
    file = tmp_path / "holidays-NO.json"
    file.write_text(spoilt.replace("VERSION", public_holidays.version("holidays")))
    found = PublicHolidays("NO")
    await found.prepare(TODAY, tmp_path)
    assert found.of(2026)[date(2026, 12, 25)] == "Christmas Day"
    assert json.loads(file.read_text())["years"]["2026"]["2026-12-25"] == "Christmas Day"


async def test_without_a_process_of_its_own_they_are_worked_out_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    found = PublicHolidays("NO")
    await found.prepare(TODAY, tmp_path)
    assert found.of(2026)[date(2026, 5, 17)] == "Constitution Day"


def test_a_year_that_is_not_prepared_is_found_too() -> None:
    assert PublicHolidays("NO").of(2041)[date(2041, 5, 17)] == "Constitution Day"


def test_no_country_has_none() -> None:
    assert PublicHolidays("").of(2026) == {}
