"""The caretaker's pages by their forms: verbs with the password given again, rules, keys, and the log."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import select, update

from devices.contract.payload import new_id
from devices.wire.connection import Address, Received, Wire
from hub.configuration.settings import OwnBroker
from hub.devices.registry import Place
from hub.hub import Hub
from hub.store import audit
from hub.store.store import now
from hub.store.tables import session as session_table
from plugins.locks.config import Permission
from plugins.locks.models import Who
from plugins.locks.permissions import Permissions
from plugins.locks.store.tables import command as command_table
from plugins.locks.store.tables import credential as credential_table
from tests.api_client import PASSWORD, actions, browser
from tests.conftest import settled, until, until_async
from tests.door_client import DoorClient
from tests.entities.conftest import announce, say
from tests.patience import PATIENCE_SECONDS
from tests.test_access import CARD, everywhere, locks, person

REDIRECT, AGAIN = 303, 'name="password_again"'


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    settings["plugins"]["locks"] = {
        "may": [
            {"role": "caretaker", "verbs": ["pulse", "hold_open", "lock", "lockdown"]},
            {"role": "front_line", "verbs": ["pulse"], "zones": ["Skranke"]},
        ],
    }
    return settings


@pytest_asyncio.fixture
async def door(hub: Hub) -> AsyncIterator[DoorClient]:
    enrolment = await hub.enroller.enrol(
        "door-1", "door", "Hovudinngang", Place(floor="1. etasje", zone="Inngang"), "test"
    )
    await until(lambda: locks(hub).access.rule_book.units)
    client = DoorClient(enrolment)
    client.obeys = True
    async with client.connected():
        await client.list_with(lambda one: one.access.version >= 1)
        await until(lambda: locks(hub).states.of("door-1").lock == "locked")
        await settled(hub)
        yield client


@pytest_asyncio.fixture
async def caretaker(hub: Hub) -> AsyncIterator[aiohttp.ClientSession]:
    async with browser(hub, "caretaker") as session:
        yield session


TIMES = {"first_day": "", "last_day": ""}
EMPTY: list[tuple[str, dict[str, str]]] = [
    ("/keys/card", {"person": "", "label": ""}),
    ("/keys/pin", {"person": "", "kind": "pin"}),
    ("/passes", {"label": "", "first": "", "until": ""}),
    ("/passages", {"person": "", "reason": ""}),
    ("/access/rules/", {"name": "", "people": ""} | TIMES),
    ("/access", {"door": "", "at": "", "who": ""}),
    ("/settings", {"pulse_seconds": "", "held_open_seconds": "60", "leads_to": "", "passback": "off"}),
    ("/settings", {"without_clock": "refuse", "interlock_with": "", "offline_hours": "36"} | TIMES),
    ("/log.csv", {"first": "", "last": "", "reason": ""}),
]
"""Fields that a browser sends too, by the path's beginning or end."""


def whole(path: str, fields: dict[str, Any]) -> dict[str, Any]:
    """With those fields of the form that somebody leaves empty."""
    empty: dict[str, Any] = {}
    for where, more in EMPTY:
        if path.endswith(("/drop", "/revoke")):
            continue
        if path == where or (where.endswith("/") and path.startswith(where)) or path.endswith(where):
            empty |= more
    if path in ("/keys/pin", "/passes"):
        empty["once"] = new_id()
    if path == "/keys/card":
        empty |= {"until": ""} if "door" in fields else {"facility": "", "number": "", "format": "26"}
    for name in list(fields):
        beside = {"start": ("end",), "end": ("start",), "days": ("start", "end"), "on": ("from", "to")}
        row, _, number = name.rpartition("-")
        empty |= {f"{one}-{number}": "" for one in beside.get(row, ())}
    return empty | fields


async def sent(session: aiohttp.ClientSession, path: str, **fields: Any) -> tuple[int, str]:
    """A form's answer, filled in as by a browser: its status and text."""
    async with session.post(path, data=whole(path, fields), allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def seen(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def told(hub: Hub) -> list[tuple[str, int | None]]:
    """Verb and seconds of what people told doors."""
    query = select(command_table.c.verb, command_table.c.hold_seconds).order_by(command_table.c.asked_at)
    return [tuple(row) for row in await hub.store.read(lambda connection: connection.execute(query).all())]


async def grows_old(hub: Hub) -> None:
    """The password was given twenty minutes ago."""
    ago = update(session_table).values(confirmed_at=now() - timedelta(minutes=20))
    await hub.store.write(lambda connection: connection.execute(ago))


# -- verbs


async def test_what_moves_a_door_asks_for_the_password_again(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    await grows_old(hub)
    status, text = await sent(caretaker, "/doors/door-1/order", hold="60", reason="<varer>")
    assert status == 200
    assert AGAIN in text
    assert 'name="hold" value="60"' in text
    assert "&lt;varer&gt;" in text
    assert await told(hub) == []
    status, text = await sent(caretaker, "/doors/door-1/order", hold="60", password_again="feil")
    assert status == 403
    assert AGAIN in text
    assert await told(hub) == []
    status, _ = await sent(caretaker, "/doors/door-1/order", hold="60", password_again=PASSWORD)
    assert status == REDIRECT
    assert await told(hub) == [("hold_open", 3600)]
    status, _ = await sent(caretaker, "/doors/door-1/order", verb="pulse")
    assert status == REDIRECT  # for the next quarter of an hour


async def test_a_session_of_the_api_is_asked_too(hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession) -> None:
    await grows_old(hub)
    async with caretaker.post("doors/door-1/pulse", json={}) as answer:
        assert answer.status == 403
        assert (await answer.json())["type"].endswith("password-again")
    assert await told(hub) == []


async def test_it_is_held_until_a_time_of_day_and_no_longer_than_half_a_day(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    zone = hub.settings.site.zone
    in_an_hour = datetime.now(zone) + timedelta(hours=1)
    before = datetime.now(zone) - timedelta(minutes=2)
    assert (await sent(caretaker, "/doors/door-1/order", hold="until", until=f"{in_an_hour:%H:%M}"))[0] == REDIRECT
    [(verb, seconds)] = await told(hub)
    assert verb == "hold_open"
    assert seconds is not None
    assert 3500 <= seconds <= 3600
    for wrong in ({"hold": "until", "until": f"{before:%H:%M}"}, {"hold": "until"}, {"hold": "721"}, {"verb": "fly"}):
        status, page = await sent(caretaker, "/doors/door-1/order", reason="varer", **wrong)
        assert status == (400 if "verb" in wrong else 422)
        assert ('value="varer"' in page) == (status == 422)  # what was typed stands there still
    assert len(await told(hub)) == 1


async def test_a_role_reaches_its_zones_only(hub: Hub, door: DoorClient) -> None:
    async with browser(hub, "front_line") as desk:
        assert "Opne Hovudinngang" not in await seen(desk, "/doors")
        assert (await sent(desk, "/doors/door-1/order", verb="pulse"))[0] == 403
        async with desk.post("doors/door-1/pulse", json={}) as answer:
            assert answer.status == 403
        assert (await sent(desk, "/doors/lockdown", is_on="yes", zone="", reason="x"))[0] == 403
        await hub.devices.describe("door-1", "Hovudinngang", Place(zone="Skranke"), "test")
        assert "Opne Hovudinngang" in await seen(desk, "/doors")
        assert (await sent(desk, "/doors/door-1/order", verb="pulse"))[0] == REDIRECT
        assert (await sent(desk, "/doors/door-1/order", verb="lock"))[0] == 403
    assert [verb for verb, _ in await told(hub)] == ["pulse"]


def test_permissions_by_verb_and_zone() -> None:
    permissions = Permissions(
        [
            Permission(role="caretaker", verbs=frozenset({"hold_open"}), zones=frozenset({"Drift"})),
            Permission(role="it", verbs=frozenset({"lockdown"})),
        ]
    )
    assert permissions.may({"caretaker"}, "hold_open", "Drift")
    assert permissions.may({"caretaker"}, "resume", "Drift")
    assert not permissions.may({"caretaker"}, "hold_open", "Skranke")
    assert not permissions.may({"caretaker"}, "hold_open", "")
    assert not permissions.may({"caretaker"}, "pulse", "Drift")
    assert permissions.may({"it"}, "lift_lockdown", "")
    assert permissions.roles("resume") == {"caretaker"}
    assert permissions.roles("resume", "Skranke") == frozenset()


async def test_a_lockdown_is_seen_and_ended(hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession) -> None:
    assert (await sent(caretaker, "/doors/lockdown", is_on="yes", zone="Inngang", reason="øving"))[0] == REDIRECT
    await door.list_with(lambda one: one.access.lockdown)
    page = await seen(caretaker, "/doors")
    assert "Sona Inngang er sperra" in page
    assert "Vegen ut er fri" in page
    assert (await sent(caretaker, "/doors/lockdown", is_on="no", zone="Inngang", reason="over"))[0] == REDIRECT
    await door.list_with(lambda one: not one.access.lockdown)
    assert "Sona Inngang er sperra" not in await seen(caretaker, "/doors")


# -- rules


async def test_a_rule_is_tried_out_before_it_is_kept(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    access = locks(hub).access
    await access.add_card(door.fingerprint(CARD), person(hub, "Kari"), "", "test")
    rule = {
        "name": "Dagtid", "people": "Kari Nordmann\n", "door": "door-1", "days-0": "1", "start-0": "08:00",
        "end-0": "10:30",
    }  # fmt: skip
    status, page = await sent(caretaker, "/access/rules/new", preview="yes", **rule)
    assert status == 200
    assert "2.5" in page.partition('id="preview"')[2]
    assert 'value="Dagtid"' in page
    assert access.rule_book.rules == []
    assert (await sent(caretaker, "/access/rules/new", **rule))[0] == REDIRECT
    [kept] = access.rule_book.rules
    assert kept.who == Who(people=(person(hub, "Kari"),))
    await door.list_with(lambda one: one.roll())
    _, page = await sent(caretaker, "/access", door="door-1", at="2026-11-23T09:00")  # a Monday
    assert "kjem inn</span>" in page.partition('id="foreseen"')[2]
    _, page = await sent(caretaker, "/access", door="door-1", at="2026-11-24T09:00", who="Kari Nordmann")
    assert "har tilgang, men ikkje på denne tida" in page
    assert (await sent(caretaker, f"/access/rules/{kept.id}/drop"))[0] == REDIRECT
    assert access.rule_book.rules == []


async def test_what_is_wrong_in_a_rule_is_said_and_the_rest_stays_in_the_form(
    hub: Hub, caretaker: aiohttp.ClientSession
) -> None:
    await until(lambda: locks(hub).access.names)
    wrong = {"name": "Dagtid", "people": "Kari Nordmann\nIngen Slik", "everywhere": "on"}
    status, page = await sent(caretaker, "/access/rules/new", **wrong)
    assert status == 422
    assert "Ingen Slik" in page
    assert 'value="Dagtid"' in page
    status, page = await sent(caretaker, "/access/rules/new", name="Dagtid", everywhere="on", **{"start-0": "08:00"})
    assert status == 422
    assert locks(hub).access.rule_book.rules == []


async def test_a_doors_habits(hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession) -> None:
    habits = {
        "has_opening": "on", "after_arrival": "on", "days-0": "1", "start-0": "08:00", "end-0": "15:30",
        "never_on_holidays": "on", "on-0": "2026-12-24", "pulse_seconds": "7", "held_open_seconds": "",
        "offline_hours": "12", "passback": "soft", "leads_to": "Kontor", "interlock_with": "",
    }  # fmt: skip
    assert (await sent(caretaker, "/doors/door-1/settings", **habits))[0] == REDIRECT
    listed = await door.list_with(lambda one: one.access.opening is not None)
    assert listed.access.opening is not None
    assert listed.access.opening.after_arrival
    assert [str(one.on) for one in listed.access.opening.times.exceptions] == ["2026-12-24"]
    assert (listed.access.pulse_ms, listed.access.held_open_seconds, listed.access.passback) == (7000, None, "soft")
    page = await seen(caretaker, "/doors/door-1/settings")
    assert 'value="08:00"' in page
    assert "Lås opp i 7 sekund" in await seen(caretaker, "/doors/door-1")
    status, page = await sent(caretaker, "/doors/door-1/settings", **(habits | {"offline_hours": "900"}))
    assert status == 422
    assert "offline_hours" in page


# -- keys


async def test_a_card_is_given_lost_and_found_again(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    access = locks(hub).access
    await access.save_rule(everywhere(), "test")
    card = {"person": "Kari Nordmann", "format": "26", "facility": "12", "number": "3456"}
    assert (await sent(caretaker, "/keys/card", **card))[0] == REDIRECT
    assert (await sent(caretaker, "/keys/card", **card))[0] == 409
    assert (await sent(caretaker, "/keys/card", **(card | {"number": "12x"})))[0] == 422
    await door.list_with(lambda one: one.roll())
    assert door.credential(CARD) is not None
    [one] = access.rule_book.credentials
    assert (await sent(caretaker, f"/keys/{one.ref}/end", why="lost"))[0] == REDIRECT
    await door.list_with(lambda one: not one.roll())
    assert (await door.show(CARD)).why == "unknown"
    assert "Funne igjen" in await seen(caretaker, "/keys")
    assert (await sent(caretaker, f"/keys/{one.ref}/again"))[0] == REDIRECT
    await door.list_with(lambda one: one.roll())
    assert (await sent(caretaker, f"/keys/{one.ref}/end", why="lost"))[0] == REDIRECT
    assert (await sent(caretaker, "/keys/card", **card))[0] == REDIRECT  # to somebody, as a new one
    assert (await sent(caretaker, f"/keys/{one.ref}/again"))[0] == 409


async def test_a_card_is_learnt_by_showing_it(hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession) -> None:
    access = locks(hub).access
    await access.save_rule(everywhere(), "test")
    learning = asyncio.create_task(sent(caretaker, "/keys/card", door="door-1", person="Kari Nordmann"))
    await until(lambda: "door-1" in locks(hub).access_requests._learning)
    assert (await door.show(CARD)).verb == "deny"
    assert (await learning)[0] == REDIRECT
    await door.list_with(lambda one: one.roll())
    assert (await door.show(CARD)).verb == "pulse"


async def test_a_pin_is_seen_once_and_kept_nowhere(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    await locks(hub).access.save_rule(everywhere(), "test")
    status, page = await sent(caretaker, "/keys/pin", person="Kari Nordmann", opens_alone="on")
    assert status == 200
    digits = page.partition('<p class="digits"><strong>')[2].partition("<")[0]
    assert len(digits) == 6
    await door.list_with(lambda one: one.roll())
    assert (await door.show(pin=digits)).verb == "pulse"
    assert digits not in await seen(caretaker, "/keys")
    entries = await hub.store.read(audit.newest)
    assert not any(digits in str(entry) for entry in entries)
    rows = await hub.store.read(lambda connection: connection.execute(select(credential_table)).all())
    assert not any(digits in str(row) for row in rows)


# -- the log


async def test_the_timeline_names_people_only_to_those_who_may(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    access = locks(hub).access
    await access.save_rule(everywhere(name="Alle dører"), "test")
    await access.add_card(door.fingerprint(CARD), person(hub, "Kari"), "", "test")
    await door.show(CARD)
    page = await seen(caretaker, "/doors/door-1")
    assert "Kari Nordmann" in page.partition('id="timeline"')[2]
    assert "etter regelen Alle dører" in page
    async with browser(hub, "front_line") as desk:
        page = (await seen(desk, "/doors/door-1")).partition('id="timeline"')[2]
        assert "Kari" not in page
        assert "nokon med kort eller PIN" in page
        assert (await sent(desk, "/doors/door-1/log.csv", reason="x", first="2026-11-01", last="2026-12-01"))[0] == 403


async def test_the_log_leaves_with_a_reason_and_without_names(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    access = locks(hub).access
    await access.save_rule(everywhere(), "test")
    ref = await access.add_card(door.fingerprint(CARD), person(hub, "Kari"), "", "test")
    await door.show(CARD)
    await sent(caretaker, "/doors/door-1/order", verb="pulse", reason="=HYPERLINK(1)")
    days = {"first": str(now().date() - timedelta(days=1)), "last": str(now().date() + timedelta(days=1))}
    assert (await sent(caretaker, "/doors/door-1/log.csv", reason=" ", **days))[0] == 422
    turned = {"first": days["last"], "last": days["first"], "reason": "innbrot"}
    status, page = await sent(caretaker, "/doors/door-1/log.csv", **turned)
    assert (status, "Den siste dagen er før den første." in page) == (422, True)
    status, text = await sent(caretaker, "/doors/door-1/log.csv", reason="innbrot", **days)
    assert status == 200
    assert ref in text
    assert "Kari" not in text
    assert "'=HYPERLINK(1)" in text
    [taken] = [one for one in await hub.store.read(audit.newest) if one.action == "passages.exported"]
    assert (taken.actor, (taken.details or {})["reason"]) == ("nokon", "innbrot")


async def test_searching_by_person_takes_two_roles_and_a_reason(hub: Hub, door: DoorClient) -> None:
    access = locks(hub).access
    await access.save_rule(everywhere(), "test")
    await access.add_card(door.fingerprint(CARD), person(hub, "Kari"), "", "test")
    await door.show(CARD)
    for roles in (["caretaker"], ["it"]):
        async with browser(hub, *roles) as one:
            assert (await sent(one, "/passages", person="Kari Nordmann", reason="x"))[0] == 403
            assert "/passages" not in await seen(one, "/keys")
    async with browser(hub, "caretaker", "it") as both:
        assert (await sent(both, "/passages", person="Kari Nordmann", reason=""))[0] == 422
        status, page = await sent(both, "/passages", person="Kari Nordmann", reason="innbrot")
        assert status == 200
        assert "Hovudinngang" in page.partition('id="passages"')[2]
    assert [one.details for one in await hub.store.read(audit.newest) if one.action == "passages.searched"] == [
        {"reason": "innbrot"}
    ]


async def test_a_pass_is_made_shown_once_and_taken_back(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    local = datetime.now(hub.settings.site.zone)
    form = {
        "label": "Røyrleggjar", "door": "door-1", "first": f"{local:%Y-%m-%dT%H:%M}",
        "until": f"{local + timedelta(hours=2):%Y-%m-%dT%H:%M}",
    }  # fmt: skip
    assert (await sent(caretaker, "/passes", **(form | {"door": "door-9"})))[0] == 422
    assert (await sent(caretaker, "/passes", **(form | {"until": form["first"]})))[0] == 422
    status, page = await sent(caretaker, "/passes", **form)
    assert status == 200
    assert "data:image/svg+xml" in page.partition('id="made-pass"')[2]
    page = await seen(caretaker, "/passes")
    assert 'id="made-pass"' not in page
    assert "Røyrleggjar" in page
    [one] = locks(hub).access.rule_book.passes
    assert (await sent(caretaker, f"/passes/{one.id}/revoke"))[0] == REDIRECT
    assert "trekt tilbake" in await seen(caretaker, "/passes")


# -- locks that were found


async def test_a_found_lock_is_a_door_that_says_what_it_knows(hub: Hub, caretaker: aiohttp.ClientSession) -> None:
    orders: list[Received] = []
    broker = hub.settings.broker
    assert isinstance(broker, OwnBroker)
    secret = await hub.admission.add_gateway("zigbee", ["z/#"], "test")
    listener = Wire(Address("127.0.0.1", broker.port, "zigbee", secret), on_message=orders.append)
    listener.subscribe("z/+/set")
    running = asyncio.create_task(listener.run())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await listener.until_connected()
        lock = announce(hub, "lock", "gate", name="Grind", command_topic="z/gate/set", state_topic="z/gate")
        announce(hub, "lock", "shed", name="Bod", command_topic="z/shed/set")
        await until(lambda: len(locks(hub).found.all()) == 2)
        page = await seen(caretaker, "/doors")
        assert "tek ikkje imot ordrar" in page
        assert (await sent(caretaker, f"/doors/found/{lock}", verb="unlock"))[0] == 403
        for one in locks(hub).found.all():
            await hub.commands.allow(one.id, is_allowed=True, actor="it")
        say(hub, "z/gate", "JAMMED")
        await until_async(lambda: kinds(hub))
        assert await kinds(hub) == [("jammed", "lock.gate")]
        assert "sit fast" in await seen(caretaker, "/doors")
        say(hub, "z/gate", "LOCKED")
        await until_async(lambda: is_quiet(hub))
        assert (await sent(caretaker, f"/doors/found/{lock}", verb="unlock", reason="varer"))[0] == REDIRECT
        assert (await sent(caretaker, "/doors/found/lock.shed", verb="lock"))[0] == REDIRECT
        await until(lambda: len(orders) == 2)
        assert [(one.topic, one.payload, one.retained) for one in orders] == [
            ("z/gate/set", b"UNLOCK", False),
            ("z/shed/set", b"LOCK", False),
        ]
        page = await seen(caretaker, "/doors")
        assert "Låst" in page.partition('id="found-lock.gate"')[2].partition("</article>")[0]  # sent is not done
        assert "truleg" in page.partition('id="found-lock.shed"')[2].partition("</article>")[0]
        assert ("nokon", "entity.commanded") in await actions(hub)
        async with browser(hub, "front_line") as desk:  # it may only let somebody in for a moment, and elsewhere
            assert (await sent(desk, f"/doors/found/{lock}", verb="unlock"))[0] == 403
    finally:
        running.cancel()
        await asyncio.wait({running})


async def kinds(hub: Hub) -> list[tuple[str, str]]:
    return [(one.kind, one.door) for one in await locks(hub).alarms.active()]


async def is_quiet(hub: Hub) -> bool:
    return not await kinds(hub)
