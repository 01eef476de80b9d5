"""Who may tell a found lock what, besides the page Doors: on the device's page, by the API, and with an old session."""

from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from sqlalchemy import update

from hub.devices.registry import Place
from hub.hooks.asking import UnansweredError
from hub.hooks.specifications import may_order
from hub.hub import Hub
from hub.store.store import now
from hub.store.tables import session as session_table
from tests.api_client import PASSWORD, actions, browser, problem, program
from tests.conftest import running_hub, until
from tests.entities.conftest import announce

REDIRECT = 303


async def lock_and_lamp(hub: Hub) -> tuple[str, str]:
    """A lock that is allowed, and something that opens nothing."""
    await hub.admission.add_gateway("z", ["z/#"], "test")
    lock = announce(hub, "lock", "gate", name="Grind", command_topic="z/gate/set", state_topic="z/gate")
    lamp = announce(hub, "switch", "lamp", name="Lampe", command_topic="z/lamp/set")
    await until(lambda: hub.entities.get(lock) and hub.entities.get(lamp))
    await hub.commands.allow(lock, is_allowed=True, actor="it")
    return lock, lamp


async def page(session: aiohttp.ClientSession, hub: Hub, entity: str, action: str = "order", **fields: str) -> int:
    found = hub.entities.get(entity)
    assert found is not None
    path = f"{hub.settings.web.address}/found/{found.device.id}/{action}"
    async with session.post(path, data={"entity": entity} | fields, allow_redirects=False) as answer:
        return answer.status


async def grows_old(hub: Hub) -> None:
    """The password was given twenty minutes ago."""
    ago = update(session_table).values(confirmed_at=now() - timedelta(minutes=20))
    await hub.store.write(lambda connection: connection.execute(ago))


async def told(hub: Hub) -> int:
    return sum(action == "entity.commanded" for _, action in await actions(hub))


async def test_what_speaks_to_a_locks_topic_is_told_by_those_who_may_open(hub: Hub) -> None:
    lock, _ = await lock_and_lamp(hub)
    gate = announce(hub, "cover", "port", name="Port", command_topic="z/port/set", state_topic="z/port")
    trick = announce(hub, "switch", "trick", name="Brytar", command_topic="z/gate/set")
    await until(lambda: hub.entities.get(gate) and hub.entities.get(trick))
    async with browser(hub, "it") as it:
        for entity, verb in ((lock, "unlock"), (gate, "open"), (gate, "close"), (trick, "on")):
            await hub.commands.allow(entity, is_allowed=True, actor="it")
            assert await page(it, hub, entity, verb=verb) == 403, entity
    assert await told(hub) == 0
    async with browser(hub, "caretaker") as caretaker:
        assert await page(caretaker, hub, gate, verb="open") == REDIRECT
    may_order_of = hub.host.plugins["locks"].instance.may_order
    desk = frozenset({"front_line"})  # may open for a moment: a gate that is opened stays open
    assert await may_order_of(lock, "open", desk)
    for entity, verb in ((gate, "open"), (gate, "close"), (trick, "on"), (lock, "unlock")):
        assert not await may_order_of(entity, verb, desk), (entity, verb)


async def test_on_its_page_a_lock_asks_for_the_password_again_and_a_lamp_does_not(hub: Hub) -> None:
    lock, lamp = await lock_and_lamp(hub)
    async with browser(hub, "caretaker", "it") as session:
        await grows_old(hub)
        assert await page(session, hub, lamp, verb="on") == REDIRECT
        assert await page(session, hub, lock, verb="unlock") == 200  # the page that asks
        assert await page(session, hub, lock, "allow", allowed="yes") == 200
        assert await page(session, hub, lock, verb="unlock", password_again="feil") == 403
        assert await told(hub) == 1
        assert await page(session, hub, lock, verb="unlock", password_again=PASSWORD) == REDIRECT
        assert await told(hub) == 2


async def test_by_the_api_an_old_session_opens_nothing(hub: Hub) -> None:
    lock, lamp = await lock_and_lamp(hub)
    async with browser(hub, "caretaker", "it") as session, program(hub) as token:
        await grows_old(hub)
        assert (await session.post(f"entities/{lamp}/command", json={"verb": "on"})).status == 202
        assert (
            await problem(await session.post(f"entities/{lock}/command", json={"verb": "unlock"})) == "password-again"
        )
        path = f"entities/{lock}/permission"
        headers = {"If-Match": (await session.get(path)).headers["ETag"]}
        assert await problem(await session.put(path, json={"is_allowed": False}, headers=headers)) == "password-again"
        assert (await token.post(f"entities/{lock}/command", json={"verb": "unlock"})).status == 202
        assert (await token.put(path, json={"is_allowed": False}, headers=headers)).status == 200


async def test_a_role_that_may_open_no_door_opens_no_found_one(hub: Hub) -> None:
    lock, lamp = await lock_and_lamp(hub)
    async with browser(hub, "it") as session:
        assert await page(session, hub, lock, verb="unlock") == 403
        assert await problem(await session.post(f"entities/{lock}/command", json={"verb": "unlock"})) == "forbidden"
        assert await page(session, hub, lamp, verb="on") == REDIRECT
    async with browser(hub, "caretaker") as session:
        assert await page(session, hub, lock, verb="unlock") == REDIRECT
        assert (await session.post(f"entities/{lock}/command", json={"verb": "lock"})).status == 202


async def test_a_permission_for_one_zone_is_for_none_else(settings: dict[str, Any], tmp_path: Any) -> None:
    settings["plugins"]["locks"] = {"may": [{"role": "it", "verbs": ["hold_open"], "zones": ["aust"]}]}
    async with running_hub(settings, tmp_path) as hub:
        lock, _ = await lock_and_lamp(hub)
        async with browser(hub, "it") as session:
            for zone, status in (("vest", 403), ("aust", REDIRECT)):
                entity = hub.entities.get(lock)
                assert entity is not None
                await hub.found_places.set_place(entity.device, Place(zone=zone), "test")
                assert await page(session, hub, lock, verb="unlock") == status
            assert await page(session, hub, lock, verb="lock") == 403


async def test_while_nobody_knows_who_may_a_lock_is_not_opened(hub: Hub) -> None:
    lock, lamp = await lock_and_lamp(hub)
    for number in range(10):
        hub.host.failed("locks", f"test {number}", RuntimeError())
    roles = frozenset[Any]({"caretaker"})
    with pytest.raises(UnansweredError):
        await hub.hooks.veto(may_order, entity=lock, verb="unlock", roles=roles)
    async with browser(hub, "caretaker") as session:
        assert await page(session, hub, lock, verb="unlock") == 403
        assert await problem(await session.post(f"entities/{lock}/command", json={"verb": "unlock"})) == "forbidden"
        assert await page(session, hub, lamp, verb="on") == REDIRECT
