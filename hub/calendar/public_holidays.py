"""Public holidays by law, from the package `holidays`.

The package reads all countries of the world: 10 MB and 0.4 s. So a process of its own works the years out, and the hub
keeps the answer in its data folder.

    python -m hub.calendar.public_holidays NO 2026 2029

prints the holidays of 2026 to 2029 as JSON, by year: {"2026": {"2026-01-01": "New Year's Day", …}, …}.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

import structlog

log = structlog.get_logger("calendar")

Years = dict[int, Mapping[date, str]]

ENGLISH = "en_US"
YEARS_BEFORE, YEARS_AHEAD = 1, 3
CHILD_SECONDS = 30


class PublicHolidays:
    """Of one country, by its ISO code; none at all for an empty one."""

    def __init__(self, country: str) -> None:
        self._country = country
        self._years: Years = {}

    def of(self, year: int) -> Mapping[date, str]:
        """Names in English; two on one day are joined by "; ". Blocks for half a second for a year not prepared."""
        if not self._country:
            return {}
        if year not in self._years:
            self._years |= worked_out(self._country, year, year)
        return self._years[year]

    async def prepare(self, today: date, folder: Path) -> None:
        """Have the years around `today` at hand, from the file in `folder` where it has them."""
        first, last = today.year - YEARS_BEFORE, today.year + YEARS_AHEAD
        if self._country and not self._years.keys() >= set(range(first, last + 1)):
            self._years |= await asyncio.to_thread(self._read_or_work_out, first, last, folder)

    def _read_or_work_out(self, first: int, last: int, folder: Path) -> Years:
        file = folder / f"holidays-{self._country}.json"
        package = version("holidays")
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            kept = json.loads(file.read_text())
            if kept["package"] == package and (years := _years_of(kept["years"])).keys() >= set(range(first, last + 1)):
                return years
        years = _by_a_child(self._country, first, last)
        with suppress(OSError):  # it can be worked out again
            fresh = file.with_suffix(".new")
            fresh.write_text(json.dumps({"package": package, "years": _written(years)}))
            fresh.replace(file)
        return years


def worked_out(country: str, first: int, last: int) -> Years:
    """By the package, in this process."""
    import holidays  # noqa: PLC0415 (see above)

    language = ENGLISH if country == "NO" else None
    found = holidays.country_holidays(country, years=range(first, last + 1), language=language)
    return {year: {day: found[day] for day in sorted(found) if day.year == year} for year in range(first, last + 1)}


@cache
def _by_a_child(country: str, first: int, last: int) -> Years:
    command = [sys.executable, "-m", __name__, country, str(first), str(last)]
    try:
        answer = subprocess.run(command, capture_output=True, check=True, timeout=CHILD_SECONDS)
        return _years_of(json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("holidays_worked_out_in_the_hub", error=type(error).__name__)
        return worked_out(country, first, last)


def _written(years: Years) -> dict[str, dict[str, str]]:
    return {str(year): {day.isoformat(): name for day, name in days.items()} for year, days in years.items()}


def _years_of(written: Mapping[str, Mapping[str, str]]) -> Years:
    return {int(year): {date.fromisoformat(day): name for day, name in days.items()} for year, days in written.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_written(worked_out(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
