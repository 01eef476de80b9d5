"""Days with other opening hours, by the API: set, listed, taken back; and what makes no sense."""

from datetime import date, timedelta
from typing import Any

import pytest

from devices.contract.kiosk import Offer
from hub.hub import Hub
from hub.store.store import now
from tests.api_client import actions, browser, problem, program
from tests.conftest import until
from tests.kiosk_client import KioskClient

DAYS = "opening-hours/days"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    settings["calendar"] = {"services": {"telefon": {"hours": {"monday": ["09:00-12:00"]}}}}
    return settings


def in_days(hub: Hub, number: int) -> date:
    return hub.calendar.date_at(now()) + timedelta(days=number)


async def test_a_day_is_set_changed_and_taken_back(hub: Hub) -> None:
    day = in_days(hub, 3)
    async with program(hub, "opening-hours:read", "opening-hours:write") as api:
        made = await api.post(DAYS, json={"on": str(day), "spans": ["12:30-15:00", "09:00-12:00"]})
        assert (made.status, made.headers["Location"]) == (201, f"/api/v1/{DAYS}/{day}")
        assert [f"{one:%H:%M}" for one, _ in hub.calendar.spans(day)] == ["09:00", "12:30"]
        await api.post(DAYS, json={"on": str(day), "spans": []})
        closed = {"id": str(day), "service": None, "on": str(day), "spans": []}
        shown = await api.get(f"{DAYS}/{day}")
        assert await shown.json() == closed
        assert (
            await api.post(DAYS, json={"on": str(day), "spans": ["10:00-11:00"], "service": "telefon"})
        ).status == 201
        listed = (await (await api.get(DAYS)).json())["items"]
        assert listed == [
            closed,
            {"id": f"{day}-telefon", "service": "telefon", "on": str(day), "spans": ["10:00-11:00"]},
        ]
        assert await problem(await api.delete(f"{DAYS}/{day}")) == "precondition-required"
        match = {"If-Match": shown.headers["ETag"]}
        assert (await api.delete(f"{DAYS}/{day}", headers=match)).status == 204
        assert await problem(await api.delete(f"{DAYS}/{day}", headers=match)) == "not-found"
        assert [one["id"] for one in (await (await api.get(DAYS)).json())["items"]] == [f"{day}-telefon"]
    done = [one for one in await actions(hub) if one[1].startswith("opening.")]
    assert done == [("token:prøve", "opening.unset"), *[("token:prøve", "opening.set")] * 3]


async def test_who_shows_it_is_told(hub: Hub, kiosk: KioskClient) -> None:
    day = in_days(hub, 3)
    async with program(hub) as api:
        await kiosk.hear(Offer)
        await api.post(DAYS, json={"on": str(day), "spans": ["10:00-11:00"]})
        await until(lambda: [one.on for one in newest_offer(kiosk).other_days] == [day])
        await api.delete(f"{DAYS}/{day}", headers={"If-Match": "*"})
        await until(lambda: newest_offer(kiosk).hours == [])  # nobody has said any again


def newest_offer(kiosk: KioskClient) -> Offer:
    return next(message for _, message in reversed(kiosk.heard) if isinstance(message, Offer))


NO_SENSE = (
    ("on", -1),
    ("on", 400),
    ("on", "2026-02-30"),
    ("on", 20260101),
    ("spans", ["15:00-09:00"]),
    ("spans", ["09:00-12:00", "11:00-13:00"]),
    ("spans", ["9-12"]),
    ("spans", ["09:00-10:00"] * 7),
    ("service", "telefaks"),
    ("service", ""),
)
"""A field and its value; days that are a small number are so many from today."""


async def test_what_makes_no_sense_is_told_by_field(hub: Hub) -> None:
    good = {"on": str(in_days(hub, 0)), "spans": ["09:00-12:00"]}
    async with program(hub) as api:
        for field, value in NO_SENSE:
            sent = str(in_days(hub, value)) if isinstance(value, int) and value < 1000 else value
            answer = await api.post(DAYS, json=good | {field: sent})
            assert await problem(answer) == "invalid", (field, value)
            assert (await answer.json())["errors"][0]["at"].startswith(f"body/{field}")
    assert hub.exceptions.days == []


async def test_it_is_for_those_who_have_the_page(hub: Hub) -> None:
    wanted = {"on": str(in_days(hub, 1)), "spans": []}
    async with browser(hub, "caretaker") as caretaker:
        assert await problem(await caretaker.get(DAYS)) == "forbidden"
        assert await problem(await caretaker.post(DAYS, json=wanted)) == "forbidden"
    async with browser(hub, "front_line") as desk:
        assert (await desk.post(DAYS, json=wanted)).status == 201
    async with program(hub, "opening-hours:read") as reader:
        assert await problem(await reader.post(DAYS, json=wanted)) == "forbidden"


@pytest.mark.parametrize("number", [-1, 400])
async def test_the_console_takes_no_day_that_nobody_would_see(hub: Hub, number: int) -> None:
    async with browser(hub, "front_line") as desk:
        form = {"service": "", "day": str(in_days(hub, number)), "spans": "09:00-12:00"}
        answer = await desk.post(f"{hub.settings.web.address}/opening-hours", data=form, allow_redirects=False)
        assert answer.status == 422
        assert "innan eit år" in await answer.text()
    assert hub.exceptions.days == []
