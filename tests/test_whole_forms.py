"""A form or a body that lacks a field, or has one more, is no order: 400, and nothing has changed."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest
from multidict import MultiDict

from hub.accounts.accounts import Session
from hub.hub import Hub
from hub.store import audit
from hub.web.forms import Form
from plugins.locks.models import DoorSettings, Lockdown
from tests.api_client import browser, problem, program
from tests.door_client import DoorClient
from tests.test_access import everywhere, locks
from tests.test_doors_console import caretaker, door, seen, sent, settings

__all__ = ["caretaker", "door", "settings"]

ORDER = Form(
    must=("zone", "reason"),
    may=("is_on",),
    many=("door",),
    rows=(("start", "end"),),
    many_in_rows={"days": "start"},
    choices={"is_on": ("yes", "no")},
)
WHOLE = [("zone", ""), ("reason", "øving")]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ([], None),
        ([("is_on", "yes"), ("door", "a"), ("door", "b")], None),
        ([("days-0", "1"), ("days-0", "2"), ("start-0", "08:00"), ("end-0", "")], None),
        ([("password_again", "x"), ("username", "kari")], None),
        ([("is_on", "perhaps")], "The field is_on is one of no, yes."),
        ([("is_on", "")], "The field is_on is one of no, yes."),
        ([("zone", "Inngang")], "The field zone comes twice."),
        ([("colour", "red")], "There is no field colour here."),
        ([("start", "08:00")], "There is no field start here."),
        ([("start-0", "08:00")], "The field end-0 is missing."),
        ([("days-0", "1")], "The field start-0 is missing."),
        ([("start-0", "08:00"), ("end-1", "09:00")], "The field end-0 is missing."),
    ],
)
def test_a_form_is_whole_or_says_what_is_wrong(more: list[tuple[str, str]], problem: str | None) -> None:
    assert next(ORDER.mistakes(MultiDict([*WHOLE, *more])), None) == problem


def test_an_empty_form_lacks_what_it_must_have() -> None:
    assert list(ORDER.mistakes(MultiDict())) == ["The field zone is missing.", "The field reason is missing."]


# -- the pages of a running hub -------------------------------------------------------------------------------


class _Forms(HTMLParser):
    """What a browser would send of each form of a page: what is always sent, and then what else may be."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str]], list[tuple[str, str]]]] = []
        self._is_in = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._is_in = said.get("method", "get").lower() == "post"
            if self._is_in:
                self.found.append((said.get("action", ""), [], []))
        elif self._is_in and said.get("name") and tag in ("input", "select", "textarea", "button"):
            _, always, perhaps = self.found[-1]
            is_optional = tag == "button" or said.get("type") in ("checkbox", "radio", "submit")
            (perhaps if is_optional else always).append((said["name"], said.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        self._is_in = self._is_in and tag != "form"


PAGES = (
    *("/doors", "/doors/door-1", "/doors/door-1/settings", "/access", "/access/rules/new", "/access/rules/1"),
    *("/keys", "/passes", "/passages", "/plans", "/hub-keys", "/visits", "/visits/new", "/screens", "/people"),
    *("/devices", "/devices/door-1", "/tokens", "/accounts", "/plugins"),
    *("/plugins/locks/settings", "/plugins/checkin/settings"),
)


def sendings(text: str, path: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each form once for each of its buttons."""
    forms = _Forms()
    forms.feed(text)
    for action, always, perhaps in forms.found:
        buttons = [
            one for one in perhaps if one[1] and one[0] in ("verb", "hold", "enter", "on", "why", "opens", "is_in")
        ]
        for button in buttons or [None]:
            yield action or path, always + ([button] if button else [])


async def test_every_form_takes_what_its_page_sends_and_nothing_else(
    hub: Hub, door: DoorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each form of each page as a browser sends it, with a field more; and with each field less."""
    access = locks(hub).access
    await access.save_rule(everywhere(), "test")
    await access.add_card(access.card_fingerprint(26, 1, 1), next(iter(access.rule_book.units)), "", "test")
    monkeypatch.setattr(Session, "may", lambda _session, _roles: True)
    tried: set[str] = set()
    async with browser(hub, "it", "caretaker", "front_line") as session:
        before = await hub.store.read(audit.last_number)
        for path in PAGES:
            for action, fields in sendings(await seen(session, path), path):
                if action in ("/logout", "/language"):
                    continue
                tried.add(action)
                status, text = await post(session, action, [*fields, ("one_more", "x")])
                assert status == 400, (path, action, fields)
                assert "There is no field one_more here." in text, (path, action, fields)
                for name, value in fields:
                    if name in ("to", "reason", "until", "q", "one_more") and "lockdown" not in action:
                        continue  # means nothing when it is missing, or is told by its own page
                    less = [one for one in fields if one != (name, value)]
                    status, text = await post(session, action, less)
                    assert status == 400, (path, action, name, text)
    assert len(tried) > 25
    assert await hub.store.read(audit.last_number) == before


async def post(session: aiohttp.ClientSession, path: str, fields: list[tuple[str, str]]) -> tuple[int, str]:
    async with session.post(path, data=MultiDict(fields), allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def test_an_empty_form_lifts_no_lockdown(hub: Hub, door: DoorClient, caretaker: aiohttp.ClientSession) -> None:
    whole: dict[str, Any] = {"zone": "", "is_on": "yes", "reason": "trugsmål"}
    assert (await sent(caretaker, "/doors/lockdown", **whole))[0] == 303
    for less in ({}, {"zone": ""}, {"zone": "", "is_on": "no"}, {"is_on": "no", "reason": "over"}, {"reason": "over"}):
        assert (await sent(caretaker, "/doors/lockdown", **less))[0] == 400, less
    status, text = await sent(caretaker, "/doors/lockdown", zone="", is_on="no", reason=" ")
    assert status == 422
    assert "Sei kvifor" in text
    assert [one.zone for one in await lockdowns(hub)] == [""]
    assert (await sent(caretaker, "/doors/lockdown", zone="", is_on="no", reason="over"))[0] == 303
    assert await lockdowns(hub) == []


async def lockdowns(hub: Hub) -> list[Lockdown]:
    return await locks(hub).lockdowns.current()


async def test_a_body_that_lacks_a_field_changes_nothing(hub: Hub, door: DoorClient) -> None:
    await locks(hub).lockdowns.begin("", "test", "trugsmål")
    async with program(hub) as api:
        for body in ({}, {"is_on": False}, {"is_on": False, "zone": ""}, {"is_on": False, "reason": "x"}):
            answer = await api.post("lockdown", json=body)
            assert answer.status == 400
            assert await problem(answer) == "fields"
        assert [one.zone for one in await lockdowns(hub)] == [""]
        settings_before = DoorSettings(passback="hard", leads_to="Arkivet")
        await locks(hub).access.save_settings("door-1", settings_before, "test")
        got = await api.get("doors/door-1/settings")
        headers = {"If-Match": got.headers["ETag"]}
        whole = await got.json()
        for name in whole:
            less = {key: value for key, value in whole.items() if key != name}
            answer = await api.put("doors/door-1/settings", json=less, headers=headers)
            assert (answer.status, await problem(answer)) == (400, "fields"), name
        answer = await api.put("doors/door-1/settings", json=whole | {"colour": "red"}, headers=headers)
        assert answer.status == 400
        assert locks(hub).access.settings_of("door-1") == settings_before
        answer = await api.put("doors/door-1/settings", json=whole | {"pulse_ms": 9000}, headers=headers)
        assert answer.status == 200
