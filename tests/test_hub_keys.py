"""The hub's own key: changed while real controllers work, with one that is away, a crash in the middle, and a thief."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, delete, update

from hub.hub import Hub
from hub.store import audit
from hub.store.store import now
from plugins.locks.models import DoorSettings, HubKeyError
from plugins.locks.operating import service
from plugins.locks.store import hub_key_rows
from plugins.locks.store.tables import access_list
from plugins.locks.trust.signing import SigningError
from tests.api_client import PASSWORD, browser, problem, program
from tests.conftest import running_hub, until
from tests.door.door_process import DoorProcess
from tests.test_access import locks
from tests.test_doors_console import AGAIN, REDIRECT, grows_old, seen, sent

FIRST, SECOND = "hub-1", "hub-2"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    settings["plugins"]["locks"] = {"commands_per_minute": 1000}
    return settings


@pytest.fixture
def one_store(settings: dict[str, Any], sqlite_url: str) -> dict[str, Any]:
    return settings | {"store": {"url": sqlite_url}}


async def a_door(hub: Hub, folder: Path, name: str = "door-1") -> DoorProcess:
    (folder / name).mkdir()
    process = DoorProcess(folder / name, await hub.enroller.enrol(name, "door", f"Dør {name}", "1. etasje", "test"))
    await process.start()
    await until(lambda: locks(hub).states.of(name).list_version)
    return process


@pytest_asyncio.fixture
async def door(hub: Hub, tmp_path: Path) -> AsyncIterator[DoorProcess]:
    process = await a_door(hub, tmp_path)
    yield process
    await process.stop()


async def believes(hub: Hub, name: str, *keys: str) -> None:
    await until(lambda: locks(hub).states.hub_keys(name) == keys)


def files(hub: Hub) -> set[str]:
    return {one.stem for one in (hub.settings.data / "keys").glob("hub-*.key")}


async def test_doors_work_all_the_while_and_one_that_was_away_is_waited_for(
    hub: Hub, door: DoorProcess, tmp_path: Path
) -> None:
    keys, pulse = locks(hub).hub_keys, locks(hub).locks.pulse
    other = await a_door(hub, tmp_path, "door-2")
    await believes(hub, "door-2", FIRST)
    await other.stop()
    assert await keys.begin("ivar") == SECOND
    with pytest.raises(HubKeyError):
        await keys.begin("ivar")
    await believes(hub, "door-1", FIRST, SECOND)
    assert keys.unaware() == ["door-2"]
    assert (await keys.current()).id == FIRST
    assert await pulse("door-1", "kari") == "done"
    assert files(hub) == {FIRST, SECOND}
    await other.start()
    await until(lambda: [one.id for one in keys.keys] == [SECOND])
    await until(lambda: files(hub) == {SECOND})
    assert [await pulse(name, "kari") for name in ("door-1", "door-2")] == ["done", "done"]
    await believes(hub, "door-1", SECOND)
    await believes(hub, "door-2", SECOND)
    assert [await pulse(name, "kari") for name in ("door-1", "door-2")] == ["done", "done"]
    said = [(one.action, one.subject, one.actor) for one in await hub.store.read(audit.newest)]
    told = [one for one in reversed(said) if one[0].startswith("hub_key.")]
    assert told == [
        ("hub_key.made", FIRST, "hub"),
        ("hub_key.made", SECOND, "ivar"),
        ("hub_key.retired", FIRST, "hub"),
        ("hub_key.ended", FIRST, "hub"),
    ]
    await other.stop()


async def test_passes_of_the_old_key_are_good_until_they_run_out(one_store: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(one_store, tmp_path) as hub:
        door = await a_door(hub, tmp_path)
        keys, passes = locks(hub).hub_keys, locks(hub).passes
        at = now()
        made, text = await passes.make("", ["door-1"], at, at + timedelta(hours=1), "kari", once=False)
        await keys.begin("ivar")
        await until(lambda: keys.keys[0].retired_at is not None)
        assert [one.id for one in keys.keys] == [FIRST, SECOND]
        await until(lambda: files(hub) == {SECOND})
        assert keys.passes_of(FIRST) == 1
        assert (await passes.read(text)).id == made.id
        await believes(hub, "door-1", FIRST, SECOND)
        await passes.revoke(made.id, "kari")
        await believes(hub, "door-1", SECOND)
        await door.stop()


async def test_a_stolen_key_is_ended_at_once_and_who_does_not_know_the_new_one_obeys_nobody(
    hub: Hub, door: DoorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = locks(hub).hub_keys
    other = await a_door(hub, tmp_path, "door-2")
    await other.stop()
    await keys.begin("ivar")
    await believes(hub, "door-1", FIRST, SECOND)
    with pytest.raises(HubKeyError):
        await keys.end_now(SECOND, "ivar")
    await keys.end_now(FIRST, "ivar")
    await until(lambda: files(hub) == {SECOND})
    await believes(hub, "door-1", SECOND)
    assert await locks(hub).locks.pulse("door-1", "kari") == "done"
    assert keys.orphaned_doors() == ["door-2"]
    await other.start()
    await until(lambda: hub.devices.vitals("door-2").is_alive)
    monkeypatch.setattr(service, "OUTCOME_SECONDS", 1.0)
    for _ in range(3):  # on a busy machine it may be silent once
        if (result := await locks(hub).locks.pulse("door-2", "kari")) != "refused":
            break
    assert result == "unknown"
    assert other.lines("command_refused")[-1]["reason"] == "bad_signature"
    assert other.pulses() == 0
    await other.stop()


async def test_a_crash_between_the_intent_and_the_key_is_made_good(one_store: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(one_store, tmp_path) as hub:
        await locks(hub).hub_keys.current()
        await hub.store.write(lambda connection: hub_key_rows.intend(connection, "ivar", now()))
    async with running_hub(one_store, tmp_path) as hub:
        keys = locks(hub).hub_keys
        await until(lambda: [one.id for one in keys.keys] == [SECOND])  # no door has to be waited for
        assert files(hub) == {SECOND}
    # And one whose end was committed, but whose file was still there.
    (hub.settings.data / "keys/hub-1.key").write_bytes(bytes(32))
    async with running_hub(one_store, tmp_path) as hub:
        locks(hub).signer.wake()
        await until(lambda: files(hub) == {SECOND})


async def test_a_lost_key_is_told_and_none_is_made_in_its_place(one_store: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(one_store, tmp_path) as hub:
        await locks(hub).hub_keys.current()
    file = hub.settings.data / "keys/hub-1.key"
    kept = file.read_bytes()
    file.unlink()
    async with running_hub(one_store, tmp_path) as hub:
        with pytest.raises(SigningError, match=r"hub-1\.key is missing: put it back"):
            await locks(hub).hub_keys.sign_content(b"{}")
        file.write_bytes(kept)
        with pytest.raises(SigningError, match="malformed"):
            await locks(hub).hub_keys.sign_content(b"{}")


async def test_the_signer_makes_and_destroys_only_what_stands_in_the_store(hub: Hub) -> None:
    signer = locks(hub).signer
    await locks(hub).hub_keys.current()
    for ask in (signer.make("hub-7"), signer.destroy(FIRST), signer.destroy("hub-7"), signer.make("../evil")):
        with pytest.raises(SigningError, match="no committed intent"):
            await ask
    assert files(hub) == {FIRST}


async def test_the_page(one_store: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(one_store, tmp_path) as hub, browser(hub, "it") as it:
        door = await a_door(hub, tmp_path)
        await door.stop()
        await grows_old(hub)
        status, text = await sent(it, "/hub-keys")
        assert (status, AGAIN in text) == (200, True)
        assert len(locks(hub).hub_keys.keys) == 1
        status, _ = await sent(it, "/hub-keys", password_again=PASSWORD)
        text = await seen(it, "/hub-keys")
        assert "Dør door-1" in text
        assert (await sent(it, "/hub-keys"))[0] == 409
        assert (await sent(it, f"/hub-keys/{SECOND}/end"))[0] == 409
        assert (await sent(it, f"/hub-keys/{FIRST}/end"))[0] == REDIRECT
        assert [one.id for one in locks(hub).hub_keys.keys] == [SECOND]
        async with browser(hub, "caretaker") as caretaker:
            assert (await sent(caretaker, "/hub-keys"))[0] == 403


async def test_by_the_api(one_store: dict[str, Any], tmp_path: Path) -> None:
    async with running_hub(one_store, tmp_path) as hub, program(hub) as api:
        door = await a_door(hub, tmp_path)
        (first,) = (await (await api.get("hub-keys")).json())["items"]
        assert first["id"] == FIRST
        await door.stop()
        made = await api.post("hub-keys")
        assert made.status == 201
        coming = await made.json()
        assert (coming["id"], coming["unaware"]) == (SECOND, ["door-1"])
        assert await problem(await api.post("hub-keys")) == "conflict"
        assert await problem(await api.post(f"hub-keys/{SECOND}/end")) == "conflict"
        assert (await api.post(f"hub-keys/{FIRST}/end")).status == 204
        (only,) = (await (await api.get("hub-keys")).json())["items"]
        assert (only["id"], only["unaware"]) == (SECOND, [])
    async with running_hub(one_store, tmp_path) as hub, browser(hub, "caretaker") as caretaker:
        assert await problem(await caretaker.get("hub-keys")) == "forbidden"
        assert await problem(await caretaker.post("hub-keys")) == "forbidden"


async def test_two_that_ask_for_the_first_key_get_one(hub: Hub) -> None:
    keys = locks(hub).hub_keys
    assert {one.id for one in await asyncio.gather(*(keys.current() for _ in range(5)))} == {FIRST}


# -- what a door keeps, and what begins anew


async def test_a_controller_that_is_paired_anew_behaves_as_before_and_takes_its_list(
    one_store: dict[str, Any], tmp_path: Path
) -> None:
    """In the same folder, after an older database was put back: its journal knows higher versions than the hub."""
    async with running_hub(one_store, tmp_path) as hub:
        door, access = await a_door(hub, tmp_path), locks(hub).access
        as_set = DoorSettings(offline_hours=2, passback="hard", leads_to="Indre", tells_grants=False)
        await access.save_settings("door-1", as_set, "kari")
        await until(lambda: locks(hub).states.list_version("door-1") >= 2)
        await door.stop()
        enrolment = await hub.enroller.enrol("door-1", "door", "Dør", "1. etasje", "test")
        door.enrolment.write_bytes(enrolment.encoded())
        await hub.store.write(lambda connection: connection.execute(delete(access_list)))
        await locks(hub).access.load()
        assert access.settings_of("door-1") == as_set
        await door.start()
        await until(lambda: locks(hub).states.list_version("door-1"))
        assert await locks(hub).locks.pulse("door-1", "kari") == "done"
        await door.stop()


async def test_a_damaged_list_after_a_change_of_keys_is_no_end(one_store: dict[str, Any], tmp_path: Path) -> None:
    """The enrolment names a key that is gone: whom to believe stands in the journal too."""
    async with running_hub(one_store, tmp_path) as hub:
        door, keys = await a_door(hub, tmp_path), locks(hub).hub_keys
        await keys.begin("ivar")
        await until(lambda: [one.id for one in keys.keys] == [SECOND])
        await believes(hub, "door-1", SECOND)
        await door.stop()
        (door.state / "list.json").write_bytes(b"garbage")
        await door.start()
        await until(lambda: door.lines("list_damaged"))
        await until(lambda: hub.devices.vitals("door-1").is_alive)
        await until(lambda: locks(hub).states.list_version("door-1"))
        assert await locks(hub).locks.pulse("door-1", "kari") == "done"
        await door.stop()


async def test_a_door_that_has_a_newer_list_than_the_hub_gets_a_newer_one_still(
    one_store: dict[str, Any], tmp_path: Path
) -> None:
    """An older database was put back: else the door would keep a list that nobody knows."""
    async with running_hub(one_store, tmp_path) as hub:
        door = await a_door(hub, tmp_path)
        for hours in (5, 6, 7):
            await locks(hub).access.save_settings("door-1", DoorSettings(offline_hours=hours), "kari")
            await until(lambda: locks(hub).lists.problem is None)
        at_door = await until(lambda: (found := locks(hub).states.list_version("door-1")) >= 2 and found)
        await hub.store.write(lambda connection: connection.execute(update(access_list).values(version=1)))
        await locks(hub).access.load()
        await until(lambda: locks(hub).states.list_version("door-1") > at_door)
        await door.stop()


async def test_a_key_is_not_retired_while_a_door_is_enrolled_beside_the_hub(hub: Hub, door: DoorProcess) -> None:
    def retire(connection: Connection, aware: dict[str, str]) -> bool:
        return hub_key_rows.retire_if_known(connection, FIRST, "ivar", now(), aware)

    known = locks(hub).states.keys()
    assert await hub.store.write(lambda connection: retire(connection, {})) is False
    assert await hub.store.write(lambda connection: retire(connection, {"door-1": "another key"})) is False
    assert await hub.store.write(lambda connection: retire(connection, known)) is True
