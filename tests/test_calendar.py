"""The site's calendar: open or not, until when; holidays, exceptions, services, and the days when clocks are turned."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from hub.calendar.opening import Calendar, UnknownServiceError, names
from hub.configuration.opening_hours import CalendarSettings
from hub.console.opening_hours.pages import _date

OSLO = ZoneInfo("Europe/Oslo")
WEEK = {day: ["09:00-15:00"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")}


def calendar(**changes: object) -> Calendar:
    return Calendar(CalendarSettings.model_validate({"hours": WEEK} | changes), OSLO)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OSLO)


@pytest.mark.parametrize(
    ("day", "holiday"),
    [
        ("2026-12-25", "Christmas Day"),
        ("2027-05-17", "Constitution Day; Pentecost Monday"),
        ("2027-03-25", "Maundy Thursday"),
        ("2027-01-01", "New Year's Day"),
    ],
)
def test_nobody_is_open_on_a_public_holiday(day: str, holiday: str) -> None:
    """A screen said "Open now" on Christmas Day."""
    opening = calendar().at(at(f"{day}T10:00"))
    assert not opening.is_open
    assert opening.holiday == holiday
    assert not calendar(holidays="NO", services={"phone": {"hours": WEEK}}).at(at(f"{day}T10:00"), "phone").is_open


def test_a_day_that_is_no_holiday_is_as_the_week_or_as_an_exception_says() -> None:
    assert calendar().at(at("2026-12-24T13:00")).is_open
    short = calendar(exceptions={"2026-12-24": ["09:00-12:00"]})
    assert short.at(at("2026-12-24T10:00")).until == at("2026-12-24T12:00")
    assert not short.at(at("2026-12-24T13:00")).is_open


def test_an_exception_goes_before_a_holiday_and_the_consoles_before_the_files() -> None:
    found = calendar(exceptions={"2027-05-17": ["10:00-12:00"], "2026-11-30": []})
    assert found.at(at("2027-05-17T11:00")).is_open
    assert not found.at(at("2026-11-30T10:00")).is_open
    found.exceptions = {("", date(2026, 11, 30)): ((time(10), time(11)),)}
    assert found.at(at("2026-11-30T10:30")).is_open


def test_it_says_until_when() -> None:
    assert calendar().at(at("2026-12-23T10:00")).until == at("2026-12-23T15:00")
    assert calendar().at(at("2026-12-23T16:00")).until == at("2026-12-24T09:00")
    assert calendar().at(at("2026-12-24T16:00")).until == at("2026-12-28T09:00")  # over Christmas and a weekend
    assert Calendar(CalendarSettings(), OSLO).at(at("2026-12-24T16:00")).until is None


def test_the_sites_clock_counts_and_summer_time() -> None:
    assert calendar().at(datetime(2026, 7, 1, 7, 30, tzinfo=UTC)).is_open  # 09:30 in summer
    assert not calendar().at(datetime(2026, 12, 1, 7, 30, tzinfo=UTC)).is_open  # 08:30 in winter


def test_a_service_has_hours_of_its_own() -> None:
    found = calendar(services={"phone": {"hours": {"saturday": ["10:00-12:00"]}}})
    assert found.at(at("2026-11-28T11:00"), "phone").is_open
    assert not found.at(at("2026-11-28T11:00")).is_open
    assert found.services == ["phone"]
    with pytest.raises(UnknownServiceError):
        found.at(at("2026-11-28T11:00"), "fax")


def test_other_days_are_those_that_differ_from_the_week() -> None:
    found = calendar(exceptions={"2026-12-24": ["09:00-12:00"]})
    days = list(found.other_days(date(2026, 12, 20)))
    assert [(one.on.isoformat(), len(one.spans), one.holiday) for one in days[:3]] == [
        ("2026-12-24", 1, None),
        ("2026-12-25", 0, "Christmas Day"),
        ("2027-01-01", 0, "New Year's Day"),  # the 26th is a Saturday
    ]
    assert names("Constitution Day; Pentecost Monday") == ["Constitution Day", "Pentecost Monday"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"hours": {"monday": ["15:00-09:00"]}}, "ends before it begins"),
        ({"hours": {"monday": ["9-15"]}}, "09:00-15:30"),
        ({"hours": {"monday": ["09:00-12:00", "11:00-15:00"]}}, "overlap"),
        ({"exceptions": {"24.12.2026": []}}, "2026-12-24"),
        ({"exceptions": {20261224: []}}, "2026-12-24"),
        ({"holidays": "NORWAY"}, "NO is Norway"),
    ],
)
def test_what_is_no_calendar_is_told(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        CalendarSettings.model_validate(wrong)


def test_no_country_has_no_holidays() -> None:
    assert calendar(holidays="").at(at("2026-12-25T10:00")).is_open


@pytest.mark.parametrize(
    ("language", "written"),
    [("nn", "Fredag 25. desember 2026"), ("nb", "Fredag 25. desember 2026"), ("en", "Friday 25 December 2026")],
)
def test_a_date_is_written_as_its_language_does(language: str, written: str) -> None:
    assert _date(date(2026, 12, 25), language) == written
