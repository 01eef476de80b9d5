"""Times at either end of the calendar: a page that holds one is still shown, and programs send none."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from hub.api.operations import Moment
from hub.configuration.settings import SiteSettings
from hub.hub import Hub
from hub.web.pages import _clock, _day, _moment
from tests.api_client import browser, problem, program

ENDS = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]


@pytest.mark.parametrize("at", ENDS)
@pytest.mark.parametrize("zone", ["Europe/Oslo", "America/Los_Angeles"])
@pytest.mark.parametrize("show", [_clock, _day, _moment])
def test_a_page_shows_any_time(show: Any, zone: str, at: datetime) -> None:
    site = SiteSettings.model_validate({"id": "test", "time_zone": zone})
    assert show(site, "nn", at)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2201-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_a_program_sends_a_time_of_ours(text: str) -> None:
    with pytest.raises(ValidationError, match="is not in the years 1970 to 2200"):
        TypeAdapter(Moment).validate_python(text)


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "2200-12-31T23:59:59+14:00"])
def test_from_the_first_year_to_the_last(text: str) -> None:
    assert TypeAdapter(Moment).validate_python(text)


async def test_no_notice_stands_until_the_end_of_all_times(hub: Hub) -> None:
    notice = {"title": {"nn": "Velkomen"}, "until": "9999-12-31T23:59:59Z"}
    async with program(hub) as api:
        assert await problem(await api.post("notices", json=notice)) == "invalid"
    async with browser(hub, "front_line") as desk:
        address = hub.settings.web.address
        written = dict.fromkeys(
            (f"{part}_{one}" for part in ("title", "text") for one in hub.settings.site.languages), ""
        )
        form = written | {"title_nn": "Velkomen", "severity": "info", "since": "", "where": "all"}
        for until in ("0001-01-01T00:00", "9999-12-31T23:59"):
            answer = await desk.post(f"{address}/screens/notices", data=form | {"until": until}, allow_redirects=False)
            assert answer.status == 422
        assert (await desk.get(f"{address}/screens")).status == 200
