"""What all tests share: a real hub on real servers, each test with its own ports and folders.

`hub` runs in the test's own loop, on SQLite, and where tests/stores.py says so on PostgreSQL; `hub_process` is the program itself, to be killed.
A server that is not installed skips its tests by name; with KOMMUNEVERT_NO_SKIPS=1 that is a failure.
"""

import asyncio
import gc
import os
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_asyncio
import structlog
from ruamel.yaml import YAML

from hub.configuration.settings import Configuration
from hub.devices.mqtt import SETTLING_SECONDS
from hub.hub import Hub
from hub.store.person_ids import KEY_BYTES, PersonIds
from tests.kiosk_client import KioskClient
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from tests.postgres import Postgres

pytest_plugins = ["tests.mail_server", "tests.quickness", "tests.stores", "tests.blocking"]

PEOPLE = """\
dn: uid=kari,dc=test
objectClass: inetOrgPerson
uid: kari
cn: Kari Nordmann
sn: Nordmann
ou: Innbyggjarservice
title: Rådgjevar
mail: kari@fjordvik.example
telephoneNumber: +47 00 00 00 01
businessCategory: parkeringsløyve
employeeType: active

dn: uid=karl,dc=test
objectClass: inetOrgPerson
uid: karl
cn: Karl-Åge Bjørnstad
sn: Bjørnstad
ou: Plan og byggesak
mail: karl@fjordvik.example
employeeType: active

dn: uid=karen,dc=test
objectClass: inetOrgPerson
uid: karen
cn: Karen Lege
sn: Lege
ou: Legekontoret
mail: karen@fjordvik.example
employeeType: active

dn: uid=karsten,dc=test
objectClass: inetOrgPerson
uid: karsten
cn: Karsten Slutta
sn: Slutta
ou: Plan og byggesak
employeeType: disabled

dn: uid=nina,dc=test
objectClass: inetOrgPerson
uid: nina
cn: Nina Utan Epost
sn: Epost
ou: Stab
employeeType: active
"""

PERSON_IDS = PersonIds(bytes(KEY_BYTES))
"""By the key that `with_person_key` puts into a data folder."""

Missing = Callable[[str], None]


def needs(program: str) -> str:
    """The program's path; the test is skipped, or fails in CI, where it is missing."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("KOMMUNEVERT_NO_SKIPS"):
            pytest.fail(f"{program} is not installed, and skips are forbidden")
        pytest.skip(f"{program} is not installed")
    return found


def pytest_collection_finish() -> None:
    """A thousand tests and what they import stay: a look for garbage in each test need not go through them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Not in pytest's own folder: every pytest that starts, also one that a test starts, closes that one to others."""
    initdb = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if initdb is None:
        needs("initdb")
    with TemporaryDirectory(prefix="kommunevert-postgres-") as folder:
        server = Postgres(initdb.parent, Path(folder), free_port())
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All tables and nothing in them: half of a hub's first start is making them."""
    folder = tmp_path_factory.mktemp("empty")
    make_tables(f"sqlite:///{folder / 'empty.db'}", folder)
    return folder / "empty.db"


@pytest.fixture(scope="session")
def empty_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Postgres:
    """New databases of this one have all tables."""
    template = postgres.new_database()
    make_tables(template, tmp_path_factory.mktemp("empty"))
    postgres.template = template.rpartition("/")[2]
    return postgres


def with_person_key(data: Path) -> None:
    """The same in all tests, so that a database and a folder fit, and a test knows whose id is whose."""
    (data / "keys").mkdir(mode=0o700)
    (data / "keys" / "person.key").write_bytes(bytes(KEY_BYTES))


def make_tables(url: str, folder: Path) -> None:
    async def make() -> None:
        hub = Hub(Configuration.read(path))
        async with hub.store_only():
            await hub.history.open()
            hub.history.close()

    with_person_key(folder)
    (folder / "people.ldif").write_text(PEOPLE)
    directory = {"source": {"kind": "ldif", "file": str(folder / "people.ldif")}}
    values = {"site": {"id": "test"}, "data": str(folder), "store": {"url": url}, "plugins": {"directory": directory}}
    path = write_configuration(values, folder / "kommunevert.yaml")
    asyncio.run(make())


@pytest.fixture
def sqlite_url(empty_database: Path, tmp_path: Path) -> str:
    """A database with nothing in it."""
    shutil.copy(empty_database, tmp_path / "test.db")
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> str:
    """SQLite; and PostgreSQL, each in its turn, for the tests that tests/stores.py names."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return request.getfixturevalue("empty_postgres").new_database()


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> dict[str, Any]:
    """A configuration as it would stand in the file; a test changes what it needs before it uses `hub`."""
    needs("mosquitto")
    (tmp_path / "data").mkdir(mode=0o700)
    with_person_key(tmp_path / "data")
    shutil.copy(empty_database, tmp_path / "data" / "kommunevert.db")
    shutil.copy(empty_database.with_name("history.db"), tmp_path / "data")
    (tmp_path / "people.ldif").write_text(PEOPLE)
    return {
        "site": {"id": "test", "name": "Fjordvik rådhus", "languages": ["nn", "nb", "en"]},
        "data": str(tmp_path / "data"),
        "web": {"port": free_port()},
        "broker": {"port": free_port(), "websocket_port": free_port()},
        "plugins": {
            "directory": {
                "source": {"kind": "ldif", "file": str(tmp_path / "people.ldif")},
                "protected_units": ["Legekontoret"],
                "board_units": ["Innbyggjarservice", "Legekontoret"],
            },
            "checkin": {
                "searches_per_minute": 1000,
                "beginnings_in_ten_minutes": 1000,
                "check_outs_per_minute": 1000,
                "visits_per_minute": 100_000,
                "messages_per_host": 100_000,
            },
        },
    }


@pytest.fixture
def config_file(settings: dict[str, Any], tmp_path: Path) -> Path:
    return write_configuration(settings, tmp_path / "kommunevert.yaml")


def write_configuration(settings: dict[str, Any], path: Path) -> Path:
    with path.open("w") as file:
        YAML().dump(settings, file)
    return path


@asynccontextmanager
async def running_hub(settings: dict[str, Any], folder: Path) -> AsyncIterator[Hub]:
    """A hub with a kiosk, a screen and an account for each role; connected, and with its directory read."""
    hub = Hub(Configuration.read(write_configuration(settings, folder / "kommunevert.yaml")))
    async with hub.running():
        assert hub.mqtt.wire is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            await hub.mqtt.wire.until_connected()
        if (directory := hub.host.plugins["directory"].instance) is not None:
            await until(lambda: len(directory.people) > 0)
        yield hub


@pytest_asyncio.fixture
async def hub(settings: dict[str, Any], store_url: str, tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(settings | {"store": {"url": store_url}}, tmp_path) as hub:
        yield hub


@pytest_asyncio.fixture
async def kiosk(hub: Hub) -> AsyncIterator[KioskClient]:
    enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "1. etasje", "test")
    async with KioskClient(enrolment).connected() as client:
        yield client


async def until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for a condition that sets no event; its value."""
    async with asyncio.timeout(seconds):
        while not (found := condition()):
            await asyncio.sleep(0.01)
    return found


async def until_async(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """As `until`, for a condition that must be awaited."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
    return found


async def settled(hub: Hub) -> None:
    """A card that is shown from now on is answered: of the first moments the hub cannot tell whether it has waited."""
    await until(lambda: hub.mqtt.wire is not None and hub.mqtt.wire.connected_seconds > SETTLING_SECONDS)


@pytest_asyncio.fixture(autouse=True)
async def leaves_nothing_running() -> AsyncIterator[None]:
    """A test that leaves a task or a thread behind fails, as in Home Assistant's suite."""
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - tasks - {asyncio.current_task()}
    cut = {one for one in left if "RequestHandler." in repr(one.get_coro())}  # aiohttp's connections, a moment ago
    if cut:
        left -= (await asyncio.wait(cut, timeout=PATIENCE_SECONDS))[0]
    assert not left, f"tasks left: {left}"
    patient = ("store-", "directory", "asyncio_", "pytest", "Thread-", "ThreadPoolExecutor")
    stray = [one for one in set(threading.enumerate()) - threads if not one.name.startswith(patient)]
    for one in stray:
        one.join(PATIENCE_SECONDS)  # asyncio's thread for a child process tells of its end a moment before its own
    stray = [one for one in stray if one.is_alive()]
    assert not stray, f"threads left: {stray}"


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that a test runs in this process sets logging up, for good where loggers are kept as they first were."""
    configure = structlog.configure
    monkeypatch.setattr(
        structlog, "configure", lambda **given: configure(**given | {"cache_logger_on_first_use": False})
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test talks to anybody but this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
