"""The HTTP API: who may, what has changed, what was done before, and what a problem says."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hub.hub import Hub
from hub.web.problems import KINDS
from tests.api_client import actions, browser, problem, program
from tests.conftest import running_hub
from tests.kiosk_client import KioskClient

# -- who


async def test_a_token_reaches_as_far_as_its_scopes(hub: Hub) -> None:
    async with program(hub, "devices:read") as api:
        assert (await api.get("devices")).status == 200
        for method, path in (("GET", "visits"), ("POST", "devices"), ("GET", "audit"), ("POST", "doors/x/pulse")):
            answer = await api.request(method, path, json={} if method == "POST" else None)
            assert (answer.status, await problem(answer)) == (403, "forbidden")
        me = await (await api.get("session")).json()
        assert me == {"name": "token:prøve", "roles": [], "scopes": ["devices:read"]}


async def test_a_session_has_what_its_roles_have(hub: Hub) -> None:
    async with browser(hub, "caretaker") as caretaker:
        assert (await caretaker.get("evacuation")).status == 200
        assert await problem(await caretaker.get("visits")) == "forbidden"
        scopes = (await (await caretaker.get("session")).json())["scopes"]
        assert "devices:read" in scopes
        assert "visits:read" not in scopes


async def test_another_sites_page_cannot_act_in_a_sessions_name(hub: Hub) -> None:
    async with browser(hub, "it") as it:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await it.post("devices", json={"kind": "kiosk"}, headers=headers)
            assert (answer.status, await problem(answer)) == (403, "cross-site")
        assert not list(hub.devices)


async def test_a_token_gives_no_more_than_its_maker_has(hub: Hub) -> None:
    wanted = {"name": "barn", "scopes": ["devices:read", "visits:read"]}
    async with program(hub, "tokens:write", "devices:read") as api:
        answer = await api.post("tokens", json=wanted)
        assert await problem(answer) == "invalid"
        assert "visits:read" in (await answer.json())["errors"][0]["detail"]
        made = await api.post("tokens", json=wanted | {"scopes": ["devices:read"]})
        assert made.status == 201
        assert made.headers["Cache-Control"] == "no-store"
        secret = (await made.json())["secret"]
        shown = await (await api.get("session", headers={"Authorization": f"Bearer {secret}"})).json()
        assert shown["scopes"] == ["devices:read"]
    async with browser(hub, "it") as it:
        assert await problem(await it.post("tokens", json=wanted)) == "invalid"  # it is not the desk


# -- what a caller sends and gets


async def test_a_bad_body_is_told_by_field(hub: Hub) -> None:
    cases = [
        (b"{", "application/json", "malformed"),
        (b"kind=kiosk", "application/x-www-form-urlencoded", "media-type"),
        (b"{}", "application/json", "fields"),
        (b'{"kind": "kiosk", "colour": "red"}', "application/json", "fields"),
        (b'{"kind": 1}', "application/json", "invalid"),
        (b'{"kind": "boat"}', "application/json", "invalid"),
    ]
    async with program(hub) as api:
        for body, content_type, name in cases:
            answer = await api.post("devices", data=body, headers={"Content-Type": content_type})
            assert await problem(answer) == name, body
            errors = (await answer.json()).get("errors", [])
            assert all(one["at"].startswith("body/") for one in errors)
            assert bool(errors) == (name in ("fields", "invalid"))


async def test_the_wrong_path_or_method_is_a_problem_too(hub: Hub) -> None:
    async with program(hub) as api:
        assert await problem(await api.get("nothing", headers={"Accept": "text/html"})) == "not-found"
        answer = await api.delete("devices")
        assert await problem(answer) == "method-not-allowed"
        assert set(answer.headers["Allow"].split(",")) >= {"GET", "POST"}


async def test_too_many_requests_are_slowed_down(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["web"]["api_requests_per_minute"] = 3
    async with running_hub(settings, tmp_path) as hub, program(hub) as api:
        statuses = [(await api.get("session")).status for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        answer = await api.get("session")
        assert await problem(answer) == "too-many-requests"
        assert 0 < int(answer.headers["Retry-After"]) <= 21


# -- what has changed


async def test_a_change_needs_to_have_seen_the_present(hub: Hub) -> None:
    async with program(hub) as api:
        person = (await (await api.get("people?q=kari")).json())["items"][0]["id"]
        path = f"people/{person}/presence"
        seen = await api.get(path)
        etag = seen.headers["ETag"]
        assert etag.startswith('"')
        assert seen.headers["Cache-Control"] == "no-store"
        assert (await api.get(path, headers={"If-None-Match": etag})).status == 304
        assert await problem(await api.put(path, json={"is_in": True})) == "precondition-required"
        done = await api.put(path, json={"is_in": True}, headers={"If-Match": etag})
        assert (done.status, await done.json()) == (200, {"is_in": True})
        assert done.headers["ETag"] == (await api.get(path)).headers["ETag"] != etag
        assert await problem(await api.put(path, json={"is_in": False}, headers={"If-Match": etag})) == "stale"
        assert (await (await api.get(path)).json())["is_in"] is True
    assert ("token:prøve", "presence.set") in await actions(hub)


async def test_of_two_who_have_seen_the_same_only_one_changes_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = hub.host.plugins["directory"].instance.directory
    set_presence = directory.set_presence

    async def slowly(*arguments: Any, **values: Any) -> None:
        await asyncio.sleep(0.2)
        await set_presence(*arguments, **values)

    monkeypatch.setattr(directory, "set_presence", slowly)
    async with program(hub) as api:
        person = (await (await api.get("people?q=kari")).json())["items"][0]["id"]
        path = f"people/{person}/presence"
        etag = (await api.get(path)).headers["ETag"]
        answers = await asyncio.gather(
            *(api.put(path, json={"is_in": True}, headers={"If-Match": etag}) for _ in range(5))
        )
        assert sorted(one.status for one in answers) == [200, 412, 412, 412, 412]


# -- what was done before


async def test_what_broke_off_is_not_done_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_arguments: Any) -> None:
        raise RuntimeError("half done")

    monkeypatch.setattr(hub.admission, "enrol", breaks)
    async with program(hub) as api:
        key = {"Idempotency-Key": "k2"}
        answer = await api.post("devices", json={"kind": "kiosk"}, headers=key)
        assert await problem(answer) == "internal"
        assert "half done" not in await answer.text()
        monkeypatch.undo()
        assert await problem(await api.post("devices", json={"kind": "kiosk"}, headers=key)) == "outcome-unknown"
        assert not list(hub.devices)


async def test_two_at_once_with_the_same_key_do_it_once(hub: Hub) -> None:
    async with program(hub) as api:
        key = {"Idempotency-Key": "k3"}
        answers = await asyncio.gather(*(api.post("devices", json={"kind": "kiosk"}, headers=key) for _ in range(6)))
        assert {one.status for one in answers} <= {201, 409}
        assert 201 in [one.status for one in answers]
        assert len(list(hub.devices)) == 1


# -- as the console does


async def test_a_visitor_is_checked_out_and_back(hub: Hub, kiosk: KioskClient) -> None:
    kari = (await kiosk.search("kari")).hosts[0]
    await kiosk.register(kari.id, "Ola Besøk")
    async with program(hub) as api:
        answer = await api.get("visits")
        assert answer.headers["Cache-Control"] == "no-store"
        visit = (await answer.json())["items"][0]
        assert (visit["visitor"], visit["host_name"], visit["left_at"]) == ("Ola Besøk", "Kari Nordmann", None)
        assert [one["name"] for one in (await (await api.get("evacuation")).json())["people"]] == ["Ola Besøk"]
        left = await (await api.post(f"visits/{visit['id']}/check-out")).json()
        assert left["left_by"] == "token:prøve"
        assert await problem(await api.post(f"visits/{visit['id']}/check-out")) == "conflict"
        back = await (await api.post(f"visits/{visit['id']}/undo-check-out")).json()
        assert back["left_at"] is None
    done = await actions(hub)
    assert ("token:prøve", "visit.checked_out") in done
    assert ("token:prøve", "visit.check_out_undone") in done


async def test_a_device_is_enrolled_renewed_and_shut_out(hub: Hub) -> None:
    async with program(hub) as api:
        made = await (await api.post("devices", json={"kind": "screen", "where": {"floor": "1. etasje"}})).json()
        assert made["link"].startswith(f"{hub.settings.web.address}/screen#device=screen-1&secret=")
        assert made["device"]["place"] == "1. etasje"
        assert await problem(await api.post("devices", json={"kind": "screen", "id": "screen-1"})) == "conflict"
        renewed = await (await api.post("devices/screen-1/renew")).json()
        assert renewed["link"] != made["link"]
        assert renewed["device"]["where"]["floor"] == "1. etasje"
        assert (await (await api.get("devices/screen-1/vitals")).json())["is_alive"] is False
        etag = (await api.get("devices/screen-1")).headers["ETag"]
        wanted = {"name": "Vestibylen", "where": {"floor": "2. etasje"}}
        described = await api.put("devices/screen-1", json=wanted, headers={"If-Match": etag})
        assert (await described.json())["name"] == "Vestibylen"
        assert (await (await api.get("devices/screen-1/absences")).json()) == {"in_all": 0, "latest": []}
        diagnostics = await (await api.get("devices/screen-1/diagnostics")).text()
        assert "screen-1/up/#" in diagnostics
        assert "Vestibylen" not in diagnostics
        assert await problem(await api.delete("devices/screen-1", headers={"If-Match": etag})) == "stale"
        etag = described.headers["ETag"]
        assert await problem(await api.delete("devices/screen-1", headers={"If-Match": '"other"'})) == "stale"
        gone = await api.delete("devices/screen-1", headers={"If-Match": etag})
        assert (gone.status, await gone.read()) == (204, b"")
        assert await problem(await api.get("devices/screen-1")) == "not-found"


async def test_a_notice_goes_up_and_comes_down(hub: Hub) -> None:
    async with program(hub) as api:
        put_up = await api.post("notices", json={"title": {"nn": "Stengt fredag"}, "severity": "warning"})
        where = put_up.headers["Location"]
        assert [one["title"] for one in (await (await api.get("programme")).json())["notices"]] == [
            {"nn": "Stengt fredag"}
        ]
        etag = (await api.get(where)).headers["ETag"]
        assert (await api.delete(where, headers={"If-Match": etag})).status == 204
        assert (await (await api.get("programme")).json())["notices"] == []
        await hub.enroller.enrol("screen-1", "screen", "Vestibylen", "", "test")
        etag = (await api.get("screens/screen-1/power")).headers["ETag"]
        dark = await api.put("screens/screen-1/power", json={"is_on": False}, headers={"If-Match": etag})
        assert await dark.json() == await (await api.get("screens/screen-1/power")).json() == {"is_on": False}
        assert await problem(await api.get("screens/screen-9/power")) == "not-found"


async def test_a_notice_is_changed_and_sent_to_one_screen(hub: Hub) -> None:
    for name in ("screen-1", "screen-2"):
        await hub.enroller.enrol(name, "screen", name, "", "test")
    async with program(hub) as api:
        notice = {"title": {"en": "Closed"}, "severity": "danger", "text": {}, "since": None, "until": None}
        assert await problem(await api.post("notices", json=notice | {"screens": ["screen-9"]})) == "invalid"
        made = await api.post("notices", json=notice | {"screens": ["screen-1"]})
        where, etag = made.headers["Location"], (await api.get(made.headers["Location"])).headers["ETag"]
        shown = [await (await api.get(f"screens/screen-{one}/programme")).json() for one in (1, 2)]
        assert [len(one["notices"]) for one in shown] == [1, 0]
        change = notice | {"screens": None, "since": "2030-01-01T08:00:00Z", "until": "2030-01-02T08:00:00Z"}
        changed = await api.put(where, json=change, headers={"If-Match": etag})
        assert await changed.json() == await (await api.get(where)).json() == change | {"id": where.rsplit("/", 1)[1]}
        assert await problem(await api.put(where, json=change, headers={"If-Match": etag})) == "stale"
        etag = (await api.get(where)).headers["ETag"]
        backwards = change | {"until": "2029-12-31T08:00:00Z"}
        assert await problem(await api.put(where, json=backwards, headers={"If-Match": etag})) == "invalid"


@pytest.mark.parametrize(
    ("hours", "status"), [("{later:%Y-%m-%dT%H:%M:%SZ}", 201), ("{later:%Y-%m-%d}", 422), ("2026-11-24T09:00:00Z", 422)]
)
async def test_a_time_that_is_sent_is_written_out_and_is_not_past(hub: Hub, hours: str, status: int) -> None:
    until = hours.format(later=datetime.now(UTC) + timedelta(hours=3))
    async with program(hub) as api:
        for wrong in (1_800_000_000, "2026-11-24T09:00:00"):
            assert (await api.post("notices", json={"title": {"nn": "x"}, "until": wrong})).status == 422
        made = await api.post("notices", json={"title": {"nn": "Stengt"}, "until": until})
        assert made.status == status
        assert status != 201 or (await made.json())["until"] == until
        token = {"name": "kantina", "scopes": ["screens:read"], "expires_at": until}
        assert (await api.post("tokens", json=token)).status == status


async def test_the_audit_log_and_the_parts_are_told(hub: Hub) -> None:
    async with program(hub) as api:
        assert (await (await api.get("audit/verification")).json())["is_whole"] is True
        parts = await (await api.get("parts")).json()
        assert parts["is_ready"] is True
        assert {"store", "broker", "mqtt"} <= {one["name"] for one in parts["parts"]}
        plugin = await (await api.get("plugins/checkin")).json()
        assert "kiosk/+/up/visit" in plugin["receives"]
        assert plugin["holds"][0]["kept_for"] == "24 hours after they left"
        assert (await api.post("plugins/checkin/release")).status == 200


async def test_the_document_and_its_page_are_for_everybody(hub: Hub) -> None:
    address = hub.settings.web.address
    async with aiohttp.ClientSession() as session:
        document = json.loads(await (await session.get(f"{address}/api/openapi.json")).text())
        assert document["openapi"] == "3.1.0"
        page = await (await session.get(f"{address}/api", headers={"Accept": "text/html"})).text()
        for path, operations in document["paths"].items():
            assert path.removeprefix("/api/v1") in page
            assert all(operation["operationId"] in page for operation in operations.values())
        for name in KINDS:
            answer = await session.get(f"{address}{KINDS[name].type}", allow_redirects=False)
            assert answer.headers["Location"] == f"/api#problem-{name}"
            assert f'id="problem-{name}"' in page
