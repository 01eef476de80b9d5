"""The HTTP API of accounts on the broker, devices that pair, devices that announce themselves, and plugins' choices."""

from base64 import b64decode

import aiohttp

from devices.wire.connection import Address
from hub.hub import Hub
from tests.accounts.broker_client import BrokerClient, is_refused
from tests.api_client import actions, browser, problem, program
from tests.conftest import until, until_async
from tests.entities.conftest import announce, say

CLAIM = "c" * 43


async def test_an_account_is_made_and_taken_away(hub: Hub) -> None:
    assert hub.broker is not None
    async with program(hub) as api:
        made = await api.post("accounts", json={"name": "zigbee", "filters": ["zigbee2mqtt/#"]})
        assert made.status == 201
        address = Address("127.0.0.1", hub.broker.address.port, "zigbee", (await made.json())["password"])
        client = BrokerClient(address)
        client.wire.subscribe("zigbee2mqtt/#")
        async with client.connected():
            client.wire.publish("zigbee2mqtt/x", b"1")
            await client.hears("zigbee2mqtt/x", "1")
        answer = await api.post("accounts", json={"name": "zigbee2", "filters": ["kommunevert/#"]})
        assert await problem(answer) == "invalid"
        await hub.enroller.enrol("kiosk-1", "kiosk", "", "", "test")
        assert await problem(await api.post("accounts", json={"name": "kiosk-1", "filters": ["a/#"]})) == "conflict"
        shown = await api.get("accounts/zigbee")
        assert "password" not in await shown.json()
        gone = await api.delete("accounts/zigbee", headers={"If-Match": shown.headers["ETag"]})
        assert gone.status == 204
        assert await is_refused(address)
    assert {("token:prøve", "gateway.added"), ("token:prøve", "gateway.removed")} <= set(await actions(hub))


async def test_a_device_that_shows_a_code_gets_its_account(hub: Hub) -> None:
    async with program(hub) as api, aiohttp.ClientSession(hub.settings.web.address) as tablet:
        offer = await (await tablet.post("/pair", json={"claim": CLAIM, "kind": "kiosk"})).json()
        shown = await (await api.get(f"pairings/{offer['code']}")).json()
        assert shown["kind"] == "kiosk"
        confirmed = await api.post(
            f"pairings/{offer['code']}/confirm", json={"name": "Inngangen", "where": {"floor": "1. etasje"}}
        )
        device = await confirmed.json()
        assert (device["id"], device["name"], device["place"]) == ("kiosk-1", "Inngangen", "1. etasje")
        answer = await (await tablet.post("/pair/claim", json={"claim": CLAIM})).json()
        assert answer["link"].startswith("/kiosk#device=kiosk-1&secret=")
        assert await problem(await api.get(f"pairings/{offer['code']}")) == "not-found"
        tried = [await problem(await api.get(f"pairings/AAAA{n:02}")) for n in range(12)]
        assert tried[-1] == "too-many-requests"


async def test_a_found_device_is_seen_told_and_remembered(hub: Hub) -> None:
    assert hub.broker is not None
    heat = announce(hub, "sensor", "heat", state_topic="x/heat", unit_of_measurement="°C", name="Varme")
    lock = announce(hub, "lock", "gate", state_topic="x/gate", command_topic="x/gate/set", name="Port")
    await until(lambda: hub.entities.get(heat) and hub.entities.get(lock))
    say(hub, "x/heat", "21.5")
    async with program(hub) as api:
        await until_async(lambda: _state(api, heat))
        shown = await (await api.get(f"entities/{heat}")).json()
        assert (shown["state"], shown["unit"], shown["is_available"]) == (21.5, "°C", True)
        assert {one["id"] for one in (await (await api.get("entities?component=lock")).json())["items"]} == {lock}
        assert len((await (await api.get("found-devices")).json())["items"]) == 2
        samples = await until_async(lambda: _samples(api, heat))
        assert [one["value"] for one in samples] == [21.5]

        assert await problem(await api.post(f"entities/{lock}/command", json={"verb": "unlock"})) == "forbidden"
        assert await (await api.post(f"entities/{heat}/keep", json={"days": 3})).json() == {"days": 3}
        path = f"entities/{lock}/permission"
        etag = (await api.get(path)).headers["ETag"]
        assert (await api.put(path, json={"is_allowed": True}, headers={"If-Match": etag})).status == 200
        assert await problem(await api.post(f"entities/{lock}/command", json={"verb": "dance"})) == "invalid"
        secret = await hub.admission.add_gateway("gate", ["x/#"], "test")
        gate = BrokerClient(Address("127.0.0.1", hub.broker.address.port, "gate", secret))
        gate.wire.subscribe("x/#")
        async with gate.connected():
            gate.wire.publish("x/echo", b"1")
            await gate.hears("x/echo", "1")  # it listens now
            answer = await api.post(f"entities/{lock}/command", json={"verb": "unlock", "reason": "varelevering"})
            assert (answer.status, await answer.json()) == (202, {"was_sent": True})
            await gate.hears("x/gate/set", "UNLOCK")
    done = await actions(hub)
    assert ("token:prøve", "entity.allowed") in done
    assert ("token:prøve", "entity.commanded") in done


async def _state(api: aiohttp.ClientSession, entity: str) -> object:
    async with api.get(f"entities/{entity}") as answer:
        return (await answer.json())["state"]


async def _samples(api: aiohttp.ClientSession, entity: str) -> list[dict[str, object]]:
    async with api.get(f"entities/{entity}/history") as answer:
        found: list[dict[str, object]] = (await answer.json())["samples"]
        return found


async def test_a_picture_comes_as_it_was_said(hub: Hub) -> None:
    porch = announce(hub, "image", "porch", image_topic="x/porch", content_type="image/png", name="Inngang")
    await until(lambda: hub.entities.get(porch))
    async with program(hub) as api:
        assert await problem(await api.get(f"entities/{porch}/picture")) == "not-found"
        say(hub, "x/porch", b"\x89PNG\0")
        await until(lambda: hub.entities.pictures)
        shown = await (await api.get(f"entities/{porch}/picture")).json()
    assert (shown["content_type"], b64decode(shown["content"])) == ("image/png", b"\x89PNG\0")


async def test_a_search_finds_what_the_callers_roles_may_see(hub: Hub) -> None:
    async def titles(session: aiohttp.ClientSession) -> list[str]:
        answer = await session.post("search", json={"text": "kari"})
        assert answer.status == 200
        return [one["title"] for one in (await answer.json())["findings"]]

    async with browser(hub, "front_line") as desk:
        assert any(one.startswith("Kari") for one in await titles(desk))
    async with program(hub, "search:read") as api:
        assert await titles(api) == []  # employees are for roles, and a token has none
        assert await problem(await api.post("search", json={"text": "k" * 81})) == "invalid"


async def test_a_plugin_is_switched_and_set_while_the_hub_runs(hub: Hub) -> None:
    async with program(hub) as api:

        async def put(what: str, body: dict[str, object]) -> aiohttp.ClientResponse:
            path = f"plugins/notify/{what}"
            etag = (await api.get(path)).headers["ETag"]
            return await api.put(path, json=body, headers={"If-Match": etag})

        assert (await api.get("outbox")).status == 200
        assert await (await put("switch", {"is_on": False})).json() == {"is_on": False}
        assert await problem(await api.get("outbox")) == "not-found"
        assert await (await put("switch", {"is_on": True})).json() == {"is_on": True}
        assert (await api.get("outbox")).status == 200

        shown = await (await api.get("plugins/notify/settings")).json()
        assert shown["source"] == "file"
        assert "answer_hours" in shown["json_schema"]["properties"]
        wrong = await put("settings", {"settings": {"answer_hours": "long", "colour": "red"}})
        assert await problem(wrong) == "invalid"
        assert {one["at"] for one in (await wrong.json())["errors"]} == {
            "body/settings/answer_hours",
            "body/settings/colour",
        }
        good = await put("settings", {"settings": shown["settings"] | {"answer_hours": 3}})
        assert (await good.json())["source"] == "console"
        assert hub.host.plugins["notify"].settings.answer_hours == 3  # type: ignore[union-attr]
        etag = (await api.get("plugins/notify/settings")).headers["ETag"]
        assert (await api.delete("plugins/notify/settings", headers={"If-Match": etag})).status == 204
        assert (await (await api.get("plugins/notify/settings")).json())["source"] == "file"
    done = {action for actor, action in await actions(hub) if actor == "token:prøve"}
    assert {"plugin.switched_off", "plugin.switched_on", "plugin.settings_changed", "plugin.back_to_file"} <= done
