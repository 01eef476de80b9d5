"""Rules and cards by the API, and what the door's list says of them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest_asyncio

from devices.access.credentials import fingerprint
from hub.hub import Hub
from tests.api_client import actions, problem, program
from tests.conftest import settled, until
from tests.door_client import DoorClient
from tests.test_access import CARD, LOST, everywhere, locks, person


@pytest_asyncio.fixture
async def door(hub: Hub) -> AsyncIterator[DoorClient]:
    """With a rule that lets all employees in."""
    enrolment = await hub.enroller.enrol("door-1", "door", "Hovudinngang", "", "test")
    await until(lambda: locks(hub).access.rule_book.units)
    await locks(hub).access.save_rule(everywhere(), "kari")
    async with DoorClient(enrolment).connected() as client:
        await client.list_with(lambda one: one.access.rules)
        await settled(hub)
        yield client


async def test_a_rule_is_made_tried_out_changed_and_dropped(hub: Hub, door: DoorClient) -> None:
    kari, access = person(hub, "Kari"), locks(hub).access
    await access.add_card(door.fingerprint(CARD), kari, "blått", "kari")
    async with program(hub) as api:
        (first,) = (await (await api.get("access-rules")).json())["items"]
        monday = {"weekly": [{"days": [1], "start": 480, "end": 960}], "on_holidays": "never"}
        wanted = {"name": "Måndag", "who": {"people": [kari]}, "where": {"doors": ["door-1"]}, "times": monday}
        made = await api.post("access-rules", json=wanted)
        assert made.status == 201
        rule = await made.json()
        assert made.headers["Location"].endswith(f"/access-rules/{rule['id']}")
        listed = await door.list_with(lambda one: len(one.access.rules) == 2)
        assert {one.id for one in listed.access.rules} == {first["id"], rule["id"]}

        match = {"If-Match": (await api.get(f"access-rules/{first['id']}")).headers["ETag"]}
        assert (await api.delete(f"access-rules/{first['id']}", headers=match)).status == 204
        for day, passes in ((7, True), (8, False)):  # a Monday and a Tuesday
            at = datetime(2026, 12, day, 10, tzinfo=UTC).isoformat()
            found = await (await api.get("doors/door-1/access", params={"person": kari, "at": at})).json()
            assert [(one["person"], one["passes"]) for one in found["items"]] == [(kari, passes)]
        at = datetime(2026, 12, 8, 10, tzinfo=UTC).isoformat()
        assert (await (await api.get("doors/door-1/access", params={"at": at})).json())["items"] == []

        match = {"If-Match": (await api.get(f"access-rules/{rule['id']}")).headers["ETag"]}
        wanted |= {"asks": "card_and_pin"}
        changed = await api.put(f"access-rules/{rule['id']}", json=wanted, headers=match)
        assert (await changed.json())["asks"] == "card_and_pin"
        stale = await api.put(f"access-rules/{rule['id']}", json=wanted, headers=match)
        assert await problem(stale) == "stale"
    assert {"rule.kept", "rule.dropped"} <= {action for _, action in await actions(hub)}


WRONG_RULES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"where": {"doors": ["door-9"]}}, "body/where/doors"),
    ({"who": {"units": [""]}}, "body/who/units/0"),
    ({"times": {"weekly": [{"days": [8], "start": 0, "end": 1}]}}, "body/times/weekly/0/days/0"),
    ({"name": " "}, "body/name"),
)


async def test_what_is_wrong_with_a_rule_is_named(hub: Hub, door: DoorClient) -> None:
    async with program(hub) as api:
        for change, at in WRONG_RULES:
            answer = await api.post("access-rules", json={"name": "X"} | change)
            assert answer.status == 422, change
            assert [one["at"] for one in (await answer.json())["errors"]] == [at]
    assert len(locks(hub).access.rule_book.rules) == 1


async def test_a_card_is_added_and_nobody_can_read_its_number_again(hub: Hub, door: DoorClient) -> None:
    wanted = {"card": {"bits": 26, "facility": 12, "number": 777}, "person": person(hub, "Kari"), "label": "nytt"}
    async with program(hub) as api:
        made = await api.post("credentials", json=wanted)
        assert made.status == 201
        assert "777" not in await made.text()
        assert await problem(await api.post("credentials", json=wanted)) == "conflict"
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        uid = await api.post("credentials", json={"card": {"uid": "04a2b3c4"}, "label": "gjest", "until": until})
        assert (await uid.json())["person"] is None, await uid.text()
        assert (await api.post("credentials", json=wanted | {"person": "nobody"})).status == 422
        too_large = await api.post("credentials", json={"card": {"bits": 26, "facility": 256, "number": 1}})
        (error,) = (await too_large.json())["errors"]
        assert error == {"at": "body/card", "detail": "26 bits hold a facility code up to 255 and a number up to 65535"}
    await door.list_with(lambda _: door.credential(LOST))
    assert (await door.show(LOST)).verb == "pulse"


async def test_a_card_is_lost_found_and_named_for_a_lockdown(hub: Hub, door: DoorClient) -> None:
    wanted = {"card": {"bits": 26, "facility": 12, "number": 777}, "person": person(hub, "Kari"), "label": "nytt"}
    async with program(hub) as api:
        ref = (await (await api.post("credentials", json=wanted)).json())["ref"]
        ended = await (await api.post(f"credentials/{ref}/end", json={"why": "lost"})).json()
        assert ended["ended_at"]
        assert ended["ended_why"] == "lost"
        assert await problem(await api.post(f"credentials/{ref}/end", json={"why": "lost"})) == "not-found"
        assert await problem(await api.post(f"credentials/{ref}/lockdown", json={"opens": True})) == "not-found"
        (lost,) = (await (await api.get("credentials", params={"ended": "true"})).json())["items"]
        assert lost == ended

        found = await (await api.post(f"credentials/{ref}/restore")).json()
        assert (found["ref"], found["ended_at"]) == (ref, None)
        assert await problem(await api.post(f"credentials/{ref}/restore")) == "not-found"
        named = await (await api.post(f"credentials/{ref}/lockdown", json={"opens": True})).json()
        assert named["in_lockdown"]
        assert (await api.post("lockdown", json={"is_on": True, "zone": "", "reason": "øving"})).status == 200
        assert (await door.show(LOST)).verb == "pulse"

        await api.post(f"credentials/{ref}/end", json={"why": "returned"})
        assert (await api.post("credentials", json=wanted)).status == 201
        assert await problem(await api.post(f"credentials/{ref}/restore")) == "conflict"


async def test_hours_that_begin_when_they_end_are_refused(hub: Hub, door: DoorClient) -> None:
    async with program(hub) as api:
        for minute, shape in product((0, 480, 1440), ("weekly", "exceptions")):
            hours = {"start": minute, "end": minute}
            times: dict[str, Any] = {"weekly": [hours | {"days": [1]}]}
            if shape == "exceptions":
                times = {"exceptions": [{"on": "2026-12-24", "hours": [hours]}]}
            rule = {"name": "Uklart", "who": {"everybody": True}, "where": {"everywhere": True}, "times": times}
            answer = await api.post("access-rules", json=rule)
            assert answer.status == 422, times
            kept = await (await api.get("doors/door-1/settings")).json()
            opening = {
                "opening": {"times": times | {"weekly": times.get("weekly", [{"days": [1], "start": 0, "end": 1}])}}
            }
            answer = await api.put("doors/door-1/settings", json=kept | opening, headers={"If-Match": "*"})
            assert answer.status == 422


async def test_a_card_of_four_bytes_is_known_in_both_forms(hub: Hub, door: DoorClient) -> None:
    """Kept by its bytes, or long ago by the 34 bits of another reader."""
    access = locks(hub).access
    assert access.card_fingerprint(34, 0x04A2, 0xB3C4) == access.uid_fingerprint(bytes.fromhex("04a2b3c4"))
    old = fingerprint(access.key, "card:34:1186:46020")
    await access.add_card(old, person(hub, "Kari"), "", "test")
    assert access.uid_fingerprint(bytes.fromhex("04a2b3c4")) == old
