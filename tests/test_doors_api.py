"""A door's habits and its place on a floor plan, by the API."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from hub.hub import Hub
from tests.api_client import actions, browser, problem, program
from tests.door_client import DoorClient

ANY = {"If-Match": "*"}
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300"><rect width="400" height="300"/></svg>'


@pytest_asyncio.fixture
async def door(hub: Hub) -> AsyncIterator[DoorClient]:
    enrolment = await hub.enroller.enrol("door-1", "door", "Hovudinngang", "", "test")
    await hub.enroller.enrol("door-2", "door", "Sluse", "", "test")
    await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
    async with DoorClient(enrolment).connected() as client:
        yield client


async def test_habits_are_read_set_and_in_the_doors_list(hub: Hub, door: DoorClient) -> None:
    weekdays = {"weekly": [{"days": [1, 2, 3, 4, 5], "start": 480, "end": 930}], "on_holidays": "never"}
    wanted = {"opening": {"times": weekdays, "after_arrival": True}, "pulse_ms": 5000, "held_open_seconds": 90}
    async with program(hub) as api:
        before = await api.get("doors/door-1/settings")
        assert (await before.json())["opening"] is None
        wanted = await before.json() | wanted
        assert await problem(await api.put("doors/door-1/settings", json=wanted)) == "precondition-required"
        match = {"If-Match": before.headers["ETag"]}
        kept = await api.put("doors/door-1/settings", json=wanted, headers=match)
        assert kept.status == 200
        assert (await kept.json())["held_open_seconds"] == 90
        assert await (await api.get("doors/door-1/settings")).json() == await kept.json()
        stale = await api.put("doors/door-1/settings", json=wanted, headers=match)
        assert await problem(stale) == "stale"
        listed = await door.list_with(lambda one: one.access.pulse_ms == 5000)
        assert listed.access.opening is not None
        assert listed.access.opening.after_arrival
    assert "door.set" in {action for _, action in await actions(hub)}


WRONG_HABITS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"pulse_ms": 0}, "body/pulse_ms"),
    ({"interlock_with": "door-9"}, "body/interlock_with"),
    ({"interlock_with": "door-1"}, "body/interlock_with"),
    ({"interlock_with": "kiosk-1"}, "body/interlock_with"),
    ({"offline_hours": "36"}, "body/offline_hours"),
    ({"colour": "blue"}, "body/colour"),
)


async def test_what_is_wrong_with_a_habit_is_named(hub: Hub, door: DoorClient) -> None:
    async with program(hub) as api:
        for change, at in WRONG_HABITS:
            kept = await (await api.get("doors/door-1/settings")).json()
            answer = await api.put("doors/door-1/settings", json=kept | change, headers=ANY)
            assert answer.status == (400 if "colour" in change else 422), change
            assert [one["at"] for one in (await answer.json())["errors"]] == [at]
            assert (await (await api.get("doors/door-1/settings")).json())["pulse_ms"] is None


async def test_who_may_only_look_sets_nothing(hub: Hub, door: DoorClient) -> None:
    async with program(hub, "doors:read") as api:
        assert (await api.get("doors/door-1/settings")).status == 200
        assert await problem(await api.put("doors/door-1/settings", json={}, headers=ANY)) == "forbidden"
        assert await problem(await api.post("door-plans", json={"name": "1", "picture": PICTURE})) == "forbidden"
    async with browser(hub, "front_line") as api:
        assert await problem(await api.put("doors/door-1/settings", json={}, headers=ANY)) == "forbidden"


async def test_what_is_no_door_has_no_habits_and_no_place(hub: Hub, door: DoorClient) -> None:
    async with program(hub) as api:
        for name in ("door-9", "kiosk-1"):
            assert await problem(await api.get(f"doors/{name}/settings")) == "not-found"
            where = {"plan": 1, "x": 1, "y": 1}
            assert await problem(await api.post(f"doors/{name}/place", json=where)) == "not-found"


async def test_a_plan_is_added_its_doors_placed_moved_and_taken_away(hub: Hub, door: DoorClient) -> None:
    async with program(hub) as api:
        made = await api.post("door-plans", json={"name": "1. etasje", "picture": PICTURE})
        assert made.status == 201
        plan = (await made.json())["id"]
        assert made.headers["Location"].endswith(f"/door-plans/{plan}")
        assert await problem(await api.get("doors/door-1/place")) == "not-found"
        for x, kept in ((120, 120.0), (9000, 400.0)):
            placed = await api.post("doors/door-1/place", json={"plan": plan, "x": x, "y": 40})
            assert await placed.json() == {"door": "door-1", "plan": plan, "x": kept, "y": 40.0}
        whole = await (await api.get(f"door-plans/{plan}")).json()
        assert whole["picture"] == PICTURE
        assert [one["door"] for one in whole["doors"]] == ["door-1"]
        assert [one["name"] for one in (await (await api.get("door-plans")).json())["items"]] == ["1. etasje"]

        assert (await api.delete("doors/door-1/place", headers=ANY)).status == 204
        assert (await (await api.get(f"door-plans/{plan}")).json())["doors"] == []
        assert (await api.delete(f"door-plans/{plan}", headers=ANY)).status == 204
        assert await problem(await api.get(f"door-plans/{plan}")) == "not-found"


WRONG_PLANS = (
    ("door-plans", {"name": "1", "picture": "<p>no picture</p>"}, "body/picture"),
    ("door-plans", {"name": " ", "picture": PICTURE}, "body/name"),
    ("doors/door-1/place", {"plan": 7, "x": 1, "y": 1}, "body/plan"),
    ("doors/door-1/place", {"plan": 7, "x": -1, "y": 1}, "body/x"),
)


async def test_what_is_wrong_with_a_plan_is_named(hub: Hub, door: DoorClient) -> None:
    async with program(hub) as api:
        for path, body, at in WRONG_PLANS:
            answer = await api.post(path, json=body)
            assert answer.status == 422, body
            assert [one["at"] for one in (await answer.json())["errors"]] == [at]
