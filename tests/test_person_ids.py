"""Nobody can work out who an id is; what had the ids of before goes on with those of today, whatever happens between."""

import hashlib
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert, select

import plugins
from hub.configuration.settings import Configuration
from hub.hub import MIGRATIONS, Hub
from hub.store.migrating import migrate
from hub.store.person_ids import KEY_BYTES, PersonIds
from hub.store.store import Store
from plugins.checkin.tables import visit
from plugins.directory.contract import host
from plugins.directory.tables import person, presence, reading
from plugins.locks.store.tables import credential, rule
from plugins.locks.store.tables import person as lock_person
from plugins.notify.tables import message
from tests.conftest import PERSON_IDS, running_hub, until_async, write_configuration
from tests.kiosk_client import KioskClient

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
KEYED = {"directory": "0004", "checkin": "0004", "notify": "0003", "locks": "0010"}
"""The step of each plugin that renames."""


def old_id(name: str) -> str:
    return hashlib.sha256(b"kommunevert person " + name.encode()).hexdigest()[:20]


def steps(name: str) -> Path:
    return Path(plugins.__path__[0]) / name / "migrations"


def steps_before(name: str, folder: Path) -> Path:
    """A plugin's migrations as they were."""
    shutil.copytree(steps(name), folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / name).glob("*.py"):
        if path.name >= KEYED[name]:
            path.unlink()
    return folder / name


@pytest_asyncio.fixture
async def old_store(settings: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A database of a year ago, with people in every table that names them, and no key."""
    data = Path(settings["data"])
    (data / "keys" / "person.key").unlink()
    if request.param == "sqlite":
        (data / "kommunevert.db").unlink()
        url = f"sqlite:///{data / 'kommunevert.db'}"
    else:
        url = request.getfixturevalue("postgres").new_database(is_empty=True)
    settings["store"] = {"url": url}
    store = Store(url)
    await store.open()

    def make(connection: Connection) -> None:
        migrate(connection, "hub", MIGRATIONS, data)
        for name in KEYED:
            migrate(connection, name, steps_before(name, tmp_path / "before"), data)
        fill(connection)

    await store.write(make)
    yield store
    await store.close()


def fill(connection: Connection) -> None:
    kari, karl = old_id("kari"), old_id("karl")
    people = {"unit": "Stab", "title": "", "tasks": [], "groups": []}
    connection.execute(insert(person), [{"id": one, "name": one, **people} for one in (kari, karl)])
    connection.execute(insert(presence), {"person": kari, "is_in": True, "since": AT})
    kept = {"entries": 2, "without_unit": 0, "without_state": 0, "disabled": [old_id("karsten")], "protected": []}
    connection.execute(insert(reading), {"id": 1, "read_at": AT, "protection": kept})
    a_visit_ = {"kiosk": "kiosk-1", "language": "nn", "arrived_at": AT, "registered_at": AT}
    connection.execute(insert(visit), [{"id": "v1", "host": kari, **a_visit_}, {"id": "v2", "host": None, **a_visit_}])
    connection.execute(insert(message), {"id": "m1", "person": kari, "language": "nn", "answers": [], "made_at": AT})
    connection.execute(insert(lock_person), {"id": karl, "unit": "Stab", "groups": []})
    who = {"everybody": False, "units": [], "groups": [], "people": [kari, karl], "credentials": []}
    connection.execute(insert(rule), {"id": 1, "name": "R", "who": who, "where": {}, "times": {}, "asks": "one"})
    flags = {"label": "", "opens_alone": True, "in_lockdown": False, "made_at": AT}
    connection.execute(insert(credential), {"ref": "c1", "kind": "card", "fingerprint": "f1", "person": karl, **flags})


def whom(connection: Connection) -> dict[str, Any]:
    """Every id of a person that is kept."""

    def all_of(column: Any) -> list[Any]:
        return sorted(filter(None, connection.execute(select(column)).scalars()))

    return {
        "people": all_of(person.c.id),
        "present": all_of(presence.c.person),
        "disabled": connection.execute(select(reading.c.protection)).scalar_one()["disabled"],
        "hosts": all_of(visit.c.host),
        "messages": all_of(message.c.person),
        "may pass": all_of(lock_person.c.id),
        "rules": connection.execute(select(rule.c.who)).scalar_one()["people"],
        "credentials": all_of(credential.c.person),
    }


def as_named_by(name: Any) -> dict[str, Any]:
    kari, karl = name("kari"), name("karl")
    return {
        "people": sorted([kari, karl]),
        "present": [kari],
        "disabled": [name("karsten")],
        "hosts": [kari],
        "messages": [kari],
        "may pass": [karl],
        "rules": [kari, karl],
        "credentials": [karl],
    }


both = pytest.mark.parametrize("old_store", ["sqlite", "postgresql"], indirect=True)


class PowerCutError(Exception):
    """In the middle of it."""


@both
async def test_ids_of_before_become_those_of_today_once(old_store: Store, settings: dict[str, Any]) -> None:
    """And cut off at every place, also between one plugin and the next, and gone through twice."""
    data = Path(settings["data"])
    assert await old_store.read(whom) == as_named_by(old_id)

    def cut(connection: Connection, name: str) -> None:
        migrate(connection, name, steps(name), data)
        raise PowerCutError

    for name in KEYED:
        before = await old_store.read(whom)
        with suppress(PowerCutError):
            await old_store.write(lambda connection, name=name: cut(connection, name))  # type: ignore[misc]
        assert await old_store.read(whom) == before
        for _ in range(2):
            await old_store.write(lambda c, name=name: migrate(c, name, steps(name), data))  # type: ignore[misc]
    assert await old_store.read(whom) == as_named_by(PersonIds.load(data).of)
    key = data / "keys" / "person.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == KEY_BYTES
    assert [one.name for one in key.parent.iterdir() if one.name.startswith("tmp")] == []


@both
async def test_a_hub_goes_on_with_an_older_database(old_store: Store, settings: dict[str, Any], tmp_path: Path) -> None:
    """Whoever must not be found is not, by the id that the configuration has of them, and waiting visits are taken."""
    await old_store.close()
    settings["plugins"]["directory"]["no_visits"] = [old_id("karl")]
    async with running_hub(settings, tmp_path) as hub:
        ids = PersonIds.load(hub.settings.data)
        await until_async(lambda: hub.hooks.first(host, person_id=ids.of("kari")))
        assert await hub.hooks.first(host, person_id=ids.of("karl")) is None
        assert await hub.hooks.first(host, person_id=old_id("karl")) is None
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as kiosk:
            receipt = await kiosk.register(old_id("kari"), "Gro Ventar")
            assert receipt.result == "registered"
        hosts = await hub.store.read(lambda c: c.execute(select(visit.c.host).where(visit.c.id == receipt.of)).scalar())
        assert hosts == ids.of("kari")


async def test_ids_say_nothing_without_the_key(hub: Hub) -> None:
    """Every user name of the town is tried, as an attacker would."""
    people = hub.host.plugins["directory"].instance.people
    shown = {one.id for one in people}
    guesses = {guess(name) for name in ("kari", "karl", "karen", "nina") for guess in (old_id, PersonIds(b"x" * 32).of)}
    assert shown
    assert not shown & guesses
    assert PERSON_IDS.of("kari") in shown


async def test_a_lost_key_is_told_and_not_made_anew(settings: dict[str, Any], tmp_path: Path) -> None:
    """Else nobody had their cards any more, and whoever takes no visits were found."""
    (Path(settings["data"]) / "keys" / "person.key").unlink()
    hub = Hub(Configuration.read(write_configuration(settings, tmp_path / "kommunevert.yaml")))
    async with hub.store_only():
        directory = hub.host.plugins["directory"]
        assert directory.state != "running"
        assert "put it back from the backup" in (directory.reason or "")
    assert not (Path(settings["data"]) / "keys" / "person.key").exists()


def test_everybody_who_makes_the_key_gets_the_same(tmp_path: Path) -> None:
    first = PersonIds.load_or_create(tmp_path).of("kari")
    assert PersonIds.load_or_create(tmp_path).of("kari") == first == PersonIds.load(tmp_path).of("kari")
