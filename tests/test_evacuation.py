"""Nobody who is inside is missing on the evacuation list, whatever the database did and when."""

import sqlite3
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from devices.contract.payload import new_id
from hub.hub import Hub
from hub.plugin import hookimpl
from plugins.checkin import rows
from plugins.checkin.contract import Present
from plugins.checkin.inside import Inside
from plugins.checkin.models import NewVisit
from plugins.checkin.service import Visits
from plugins.directory.contract import find_hosts
from tests.api_client import browser, program
from tests.conftest import until
from tests.test_failures_of_plugins import sqlite_error


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def visits(hub: Hub) -> Visits:
    return hub.host.plugins["checkin"].instance.visits


async def a_visit(hub: Hub) -> NewVisit:
    host = (await hub.hooks.all(find_hosts, text="kari", limit=5, device=None))[0][0].id
    return NewVisit(new_id(), host, "Gro Gjest", None, "nb", datetime.now(UTC), "anna")


async def away(*_arguments: Any) -> None:
    raise sqlite_error(sqlite3.SQLITE_IOERR)


async def names(visits: Visits) -> list[str]:
    return [one.name for one in await visits.present()]


async def test_who_is_back_is_on_it_though_the_database_went_at_that_moment(
    hub: Hub, visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await a_visit(hub)
    await visits.register(new)
    await visits.check_out(new.id, "anna")
    await until(lambda: visits.inside._is_loaded)
    monkeypatch.setattr(hub.store, "read", away)
    await visits.undo_check_out(new.id, "anna")
    assert await names(visits) == ["Gro Gjest"]


async def test_who_was_written_down_by_a_commit_that_did_not_answer_is_on_it(
    hub: Hub, visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_work: Any, arrival: rows.Arrival) -> None:
        await hub.store.write(lambda connection: rows.add_all(connection, [arrival]))
        await away()

    monkeypatch.setattr(hub.store, "write_with_others", lost)
    with pytest.raises(OperationalError):
        await visits.register(await a_visit(hub))
    await until(lambda: [name for name, *_ in visits.inside._known.values()] == ["Gro Gjest"])
    monkeypatch.setattr(hub.store, "read", away)
    assert await names(visits) == ["Gro Gjest"]


async def test_a_list_that_was_never_read_is_missing_and_not_empty(
    hub: Hub, visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_read = Inside(visits._context)
    monkeypatch.setattr(hub.store, "read", away)
    with pytest.raises(OperationalError):
        await never_read.people()


async def test_the_page_never_says_that_nobody_is_inside_when_nothing_has_answered(
    hub: Hub, visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser(hub, "front_line") as desk:
        page = f"{hub.settings.web.address}/visits/evacuation"
        assert "Ingen gjester i bygget" in await (await desk.get(page)).text()
        monkeypatch.setattr(visits.inside, "people", away)
        shown = await (await desk.get(page)).text()
    assert "Ingenting som veit kven som er i bygget, har svart" in shown
    assert "Ingen gjester i bygget" not in shown
    assert "i bygget: 0" not in shown


async def test_a_plugin_that_does_not_answer_is_named(
    hub: Hub, visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may be missing, and nobody would see it."""
    new = await a_visit(hub)
    await visits.register(new)

    async def answer(self: object) -> list[Present]:
        raise LookupError

    class Another:
        present = hookimpl(answer)

    hub.hooks.register("another", Another())
    async with browser(hub, "front_line") as desk:
        page = await (await desk.get(f"{hub.settings.web.address}/visits/evacuation")).text()
        assert "Gro Gjest" in page
        assert "Det kan mangle folk på denne lista: another svarte ikkje." in page
        assert "Kjende gjester i bygget: 1." in page
        await visits.check_out(new.id, "anna")
        empty = await (await desk.get(f"{hub.settings.web.address}/visits/evacuation")).text()
        assert "Ingen gjester i bygget" not in empty
        assert "Gjester i bygget: 0" not in empty
    async with program(hub, "visits:read") as client:
        listed = await (await client.get("evacuation")).json()
        assert (listed["sources"], listed["missing"]) == (["checkin"], ["another"])
    hub.hooks.unregister("another")
    async with browser(hub, "front_line") as desk:
        assert "kan mangle folk" not in await (await desk.get(f"{hub.settings.web.address}/visits/evacuation")).text()
