"""What no browser sends and somebody else may: pages and API of doors say what is wrong, and nothing is hurt."""

import asyncio
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select

from devices.access.lists import Opening
from devices.access.times import Times
from hub.hub import Hub
from hub.plugin import MistakeError
from plugins.locks.models import AccessRule, DoorSettings, Where, Who
from plugins.locks.plans import size_of
from plugins.locks.rules import rows as access_rows
from plugins.locks.store.tables import credential
from tests.api_client import PASSWORD, browser, problem, program
from tests.conftest import until
from tests.door_client import DoorClient
from tests.test_access import everywhere, locks, person
from tests.test_doors_console import AGAIN, REDIRECT, caretaker, door, grows_old, seen, sent, settings, told

__all__ = ["caretaker", "door", "settings"]

MANY = "9" * 5000
PARALLEL = 50
DAY_BEFORE_CHRISTMAS = {"on": "2026-12-24", "from": "08:00", "to": "09:00"}
ODD_FORMS: list[tuple[str, dict[str, str]]] = [
    (f"/access/rules/{2**63}", {"name": "x"}),
    (f"/access/rules/{MANY}", {"name": "x"}),
    (f"/access/rules/{2**63}/drop", {}),
    (f"/doors/alarms/{2**63}", {}),
    (f"/doors/alarms/{MANY}", {}),
    ("/doors/door-1/order", {"hold": MANY}),
    ("/keys/card", {"format": "uid", "number": "", "label": "x"}),
    ("/keys/card", {"format": "26", "facility": MANY, "number": "1", "label": "x"}),
    ("/keys/card", {"format": "26", "facility": "1", "number": MANY, "label": "x"}),
    ("/keys/card", {"format": "26", "facility": "1", "number": "1", "label": "x", "until": "9999-12-31"}),
    ("/doors/door-1/log.csv", {"first": "0001-01-01", "last": "9999-12-31", "reason": "x"}),
    ("/doors/door-1/log.csv", {"first": "i går", "last": "", "reason": "x"}),
    ("/access", {"door": "door-1", "at": "0001-01-01T00:00"}),
    ("/passes", {"door": "door-1", "first": "0001-01-01T00:00", "until": "9999-12-31T00:00"}),
    ("/access/rules/new", {"name": "x", "everybody": "on", "everywhere": "on", "days-0": "1", "start-0": MANY}),
    ("/access/rules/new", {"name": "x", "everywhere": "on", f"start-{MANY}": "08:00"}),
    ("/access/rules/new", {"name": "x", "everywhere": "on", "credential": "a b"}),
    ("/access/rules/new", {"name": "x", "everybody": "on", "door": "a b"}),
    ("/access/rules/new", {"name": "x", "everybody": "on"}),
    ("/access/rules/new", {"name": "x", "everywhere": "on"}),
    (
        "/access/rules/new",
        {"name": "x", "everybody": "on", "everywhere": "on", "days-0": "1", "start-0": "08:00", "end-0": "08:00"},
    ),
    (
        "/access/rules/new",
        {"name": "x", "everybody": "on", "everywhere": "on"}
        | {f"{name}-{n}": value for n in range(11) for name, value in DAY_BEFORE_CHRISTMAS.items()},
    ),
    ("/doors/door-1/settings", {"pulse_seconds": "inf", "offline_hours": "36"}),
    ("/doors/door-1/settings", {"pulse_seconds": "1e400", "offline_hours": "36"}),
    ("/doors/door-1/settings", {"interlock_with": "door-1", "offline_hours": "36"}),
    ("/doors/door-1/settings", {"has_opening": "on", "offline_hours": "36"}),
    ("/doors/door-1/settings", {"offline_hours": "36", "days-0": "1", "start-0": "08:00", "end-0": "15:00"}),
    ("/plans/1/place", {"door": "door-1", "x": "nan", "y": "1"}),
]


async def test_a_form_that_makes_no_sense_changes_nothing(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    for path, fields in ODD_FORMS:
        status, _ = await sent(caretaker, path, **fields)
        expected = {REDIRECT} if path.startswith("/doors/alarms/") else {200} if path == "/access" else {400, 404, 422}
        assert status in expected, (path, fields)
    kept = locks(hub).access.rule_book
    assert (kept.rules, kept.credentials, kept.passes) == ([], [], [])
    assert kept.settings["door-1"].opening is None
    assert await told(hub) == []


async def test_a_page_of_another_time_is_none(hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession) -> None:
    for before in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "i går") * 12:
        async with caretaker.get("/doors/door-1", params={"before": before}) as answer:
            assert answer.status == 400
    assert "Hovudinngang" in await seen(caretaker, "/doors")


def test_a_picture_says_its_size_in_no_time() -> None:
    """Were the expression to try all ways to share out the blanks, this would take minutes."""
    for width in ("1" + " " * 800_000 + "x", " " * 400_000 + "1" + " " * 400_000, "1" * 800_000):
        picture = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="1"/>'.encode()
        try:
            size_of(picture)
        except ValueError:
            continue
    with pytest.raises(ValueError, match="SVG"):
        size_of('<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "9">]><svg viewBox="0 0 &a; 9"/>'.encode("utf-16-le"))


async def test_what_lets_people_in_asks_for_the_password_again(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    await locks(hub).access.save_rule(everywhere(), "test")
    await grows_old(hub)
    for path, fields in (
        ("/doors/door-1/settings", {"has_opening": "on", "offline_hours": "36", "days-0": "1", "start-0": "00:00"}),
        ("/keys/pin", {"person": "Kari Nordmann", "opens_alone": "on"}),
        ("/keys/card", {"format": "uid", "number": "04a2b3c4", "label": "x"}),
        ("/access/rules/new", {"name": "Alle", "everybody": "on", "everywhere": "on"}),
    ):
        status, text = await sent(caretaker, path, **fields)
        assert (status, AGAIN in text) == (200, True), path
    for method, path, body in (
        ("PUT", "doors/door-1/settings", {}),
        ("POST", "access-rules", {"name": "Alle"}),
        ("POST", "credentials", {"card": {"uid": "04a2b3c4"}, "label": "x"}),
    ):
        async with caretaker.request(method, path, json=body, headers={"If-Match": "*"}) as answer:
            assert await problem(answer) == "password-again", path
    kept = locks(hub).access.rule_book
    assert (len(kept.rules), kept.credentials, kept.settings["door-1"].opening) == (1, [], None)
    assert (await sent(caretaker, "/keys/pin", person="Kari Nordmann", password_again=PASSWORD))[0] == 200
    assert len(locks(hub).access.rule_book.credentials) == 1


async def test_fifty_at_once_who_make_a_pin_leave_one(hub: Hub, caretaker: aiohttp.ClientSession) -> None:
    await until(lambda: locks(hub).access.names)
    answers = await asyncio.gather(
        *(sent(caretaker, "/keys/pin", person="Kari Nordmann", opens_alone="on", once=str(n)) for n in range(PARALLEL))
    )
    assert {status for status, _ in answers} == {200}
    living = select(func.count()).select_from(credential).where(credential.c.ended_at.is_(None))
    assert await hub.store.read(lambda connection: connection.execute(living).scalar()) == 1


async def test_fifty_at_once_who_end_a_card_end_it_once(hub: Hub, door: DoorClient) -> None:
    async with program(hub) as api:
        made = await api.post("credentials", json={"card": {"uid": "04a2b3c4"}, "label": "gjest"})
        ref = (await made.json())["ref"]
        ends = [api.post(f"credentials/{ref}/end", json={"why": "lost"}) for _ in range(PARALLEL)]
        assert sorted(one.status for one in await asyncio.gather(*ends)) == [200] + [404] * (PARALLEL - 1)


async def test_an_answer_with_a_secret_that_is_loaded_anew_makes_no_second_one(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    form = {"person": "Kari Nordmann", "once": "abc"}
    assert (await sent(caretaker, "/keys/pin", **form))[0] == 200
    [pin] = locks(hub).access.rule_book.credentials
    assert (await sent(caretaker, "/keys/pin", **form))[0] == 422
    assert locks(hub).access.rule_book.credentials == [pin]
    visit = {"door": "door-1", "once": "def"}
    visit |= _times(hub)
    assert [(await sent(caretaker, "/passes", **visit))[0] for _ in range(2)] == [200, 422]
    assert len(locks(hub).access.rule_book.passes) == 1


async def test_the_desk_gives_passes_for_doors_only_that_it_opens(hub: Hub, door: DoorClient) -> None:
    async with browser(hub, "front_line") as desk:
        assert "Hovudinngang" not in (await seen(desk, "/passes")).partition('id="passes"')[0]
        status, _ = await sent(desk, "/passes", door="door-1", **_times(hub))
        assert status == 422
    assert locks(hub).access.rule_book.passes == []


async def test_which_card_it_was_only_a_token_for_that_is_told(hub: Hub, door: DoorClient) -> None:
    await locks(hub).access.save_rule(AccessRule(name="x", who=Who(everybody=True), where=Where(everywhere=True)), "x")
    ref = await locks(hub).access.add_card(door.fingerprint("uid:04a2b3c4"), person(hub, "Kari"), "", "test")
    await door.list_with(lambda one: one.access.rules)
    await door.show("uid:04a2b3c4")
    async with program(hub, "passages:read") as api:
        [passage] = (await (await api.get("door-passages")).json())["items"]
        assert passage["credential"] == ref
    async with browser(hub, "caretaker", "it") as everything:
        assert await problem(await everything.get("door-passages")) == "forbidden"
        assert ref not in await (await everything.get("door-commands")).text()


async def test_a_rule_is_no_longer_than_somebody_can_read(hub: Hub, door: DoorClient) -> None:
    spans = [{"days": [1], "start": n, "end": n + 1} for n in range(51)]
    async with program(hub) as api:
        answer = await api.post("access-rules", json={"name": "Lang", "times": {"weekly": spans}})
        assert answer.status == 422
        assert (await answer.json())["errors"][0]["at"] == "body/times/weekly"


async def test_a_form_that_is_saved_unchanged_changes_nothing(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    """Hundreds of other hours, and a last day: what a page does not show, it must not take away."""
    hours = [{"start": n, "end": n + 1} for n in range(2)]
    days = [{"on": f"2026-{month:02}-{day:02}", "hours": hours} for month in range(1, 11) for day in range(1, 11)]
    spans = [{"days": [1], "start": n, "end": n + 1} for n in range(49)]
    times = {"weekly": spans, "exceptions": days, "first": "2026-01-01", "last": "2026-12-31"}
    async with program(hub) as api:
        rule = {"name": "Lang", "who": {"everybody": True}, "where": {"everywhere": True}, "times": times}
        number = (await (await api.post("access-rules", json=rule)).json())["id"]
        settings = await (await api.get("doors/door-1/settings")).json() | {"opening": {"times": times}}
        answer = await api.put("doors/door-1/settings", json=settings, headers={"If-Match": "*"})
        assert answer.status == 200
    access = locks(hub).access
    before = access.rule_book.rules[0], access.settings_of("door-1")
    for page in (f"/access/rules/{number}", "/doors/door-1/settings"):
        form = fields_of(await seen(caretaker, page), page)
        async with caretaker.post(page, data=form, allow_redirects=False) as answer:
            assert answer.status == REDIRECT
    assert (access.rule_book.rules[0], access.settings_of("door-1")) == before


async def test_a_schedule_without_hours_that_was_kept_before_opens_for_nobody(hub: Hub, door: DoorClient) -> None:
    access = locks(hub).access
    always = DoorSettings(opening=Opening(times=Times()))
    with pytest.raises(MistakeError):
        await access.save_settings("door-1", always, "test")
    await access.write(lambda connection: access_rows.save_settings(connection, "door-1", always, "test"))
    assert access.for_door("door-1").opening is None


async def test_a_pin_under_threat_stays_one_when_the_name_was_mistyped(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    status, page = await sent(caretaker, "/keys/pin", person="Kari Nordman", kind="duress", opens_alone="on")
    assert status == 422
    assert "Meiner du: Kari Nordmann?" in page
    form = dict(fields_of(page, "/keys/pin"))
    assert (form["person"], form["kind"], form["opens_alone"]) == ("Kari Nordman", "duress", "on")


async def test_only_who_may_search_people_gives_a_program_the_scope_to(hub: Hub, door: DoorClient) -> None:
    wanted = {"name": "x", "scopes": ["passages:read"]}
    async with browser(hub, "it") as it:
        assert (await it.post("tokens", json=wanted)).status == 422
    async with browser(hub, "caretaker", "it") as both:
        assert (await both.post("tokens", json=wanted)).status == 201


async def test_a_lockdown_that_stands_keeps_its_beginning(
    hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession
) -> None:
    await sent(caretaker, "/doors/lockdown", is_on="yes", zone="", reason="trugsmål")
    [first] = await locks(hub).lockdowns.current()
    await sent(caretaker, "/doors/lockdown", is_on="yes", zone="", reason="feiltrykk")
    assert await locks(hub).lockdowns.current() == [first]
    page = await seen(caretaker, "/doors")
    assert "Hovudinngang er sperra. Vil du opne likevel?" in page


class _Form(HTMLParser):
    """What a browser would send of the form with this action."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self._action = action
        self._is_in = False
        self._select: str | None = None
        self._text: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self._is_in = values.get("action") == self._action
        if not self._is_in:
            return
        name = values.get("name") or ""
        if tag == "input" and (values.get("type") != "checkbox" or "checked" in values):
            self.fields.append((name, values.get("value") or ("on" if values.get("type") == "checkbox" else "")))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in values or self._select not in dict(self.fields)):
            self.fields = [one for one in self.fields if one[0] != self._select]
            self.fields.append((self._select, values.get("value") or ""))
        elif tag == "textarea":
            self.fields.append((name, ""))
            self._text = name

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[-1] = (self._text, data)

    def handle_endtag(self, tag: str) -> None:
        self._select = None if tag == "select" else self._select
        self._text = None if tag == "textarea" else self._text
        self._is_in = self._is_in and tag != "form"


def fields_of(page: str, action: str) -> list[tuple[str, str]]:
    form = _Form(action)
    form.feed(page)
    assert form.fields
    return form.fields


def _times(hub: Hub) -> dict[str, Any]:

    local = datetime.now(hub.settings.site.zone)
    return {"first": f"{local:%Y-%m-%dT%H:%M}", "until": f"{local + timedelta(hours=1):%Y-%m-%dT%H:%M}"}
