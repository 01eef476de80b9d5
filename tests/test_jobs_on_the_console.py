"""The page Jobs and its twin in the API: what was given up is run now, or dropped."""

from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select

from hub.hub import Hub
from hub.store import audit
from hub.store.store import now
from hub.store.tables import job as table
from tests.api_client import browser, problem, program
from tests.conftest import until, until_async


async def put(hub: Hub, key: str) -> None:
    """A job of signage's that was given up."""
    row: dict[str, Any] = {
        "plugin": "signage", "job": "end notice", "key": key, "is_scheduled": False, "mark": key,
        "due_at": now() - timedelta(days=2), "next_at": now() - timedelta(days=1), "data": {}, "starts": 0,
        "attempts": 12, "error": "ValueError", "given_up_at": now(),
    }  # fmt: skip
    await hub.store.write(lambda connection: connection.execute(insert(table), row) and None)


async def keys(hub: Hub) -> set[str]:
    query = select(table.c.key).where(table.c.plugin == "signage")
    return set(await hub.store.read(lambda connection: connection.execute(query).scalars().all()))


async def until_only(hub: Hub, *left: str) -> None:
    async def is_so() -> bool:
        return await keys(hub) == set(left)

    await until_async(is_so)


async def test_it_runs_a_job_now_and_drops_another(hub: Hub) -> None:
    await put(hub, "mended")
    await put(hub, "hopeless")
    address = f"{hub.settings.web.address}/jobs"
    async with browser(hub, "it") as it:
        page = await (await it.get(address)).text()
        assert "ValueError" in page
        assert "delete expired" in page  # of notify and locks, on a schedule
        one = {"plugin": "signage", "job": "end notice"}
        assert (await it.post(address, data=one | {"key": "mended", "do": "run"}, allow_redirects=False)).status == 303
        await until_only(hub, "hopeless")
        dropped = one | {"key": "hopeless", "do": "drop"}
        assert (await it.post(address, data=dropped, allow_redirects=False)).status == 303
        await until_only(hub)
        assert (await it.post(address, data=dropped, allow_redirects=False)).status == 404
        scheduled = {"plugin": "notify", "job": "delete expired", "key": "", "do": "drop"}
        assert (await it.post(address, data=scheduled, allow_redirects=False)).status == 404
    found = await hub.store.read(lambda connection: audit.newest(connection, 10))
    assert [entry.action for entry in found if entry.action.startswith("job.")] == ["job.dropped", "job.run_now"]


async def test_a_program_does_the_same(hub: Hub) -> None:
    await put(hub, "mended")
    await put(hub, "hopeless")
    async with program(hub, "plugins:read", "plugins:write") as client:
        listed = (await (await client.get("/api/v1/jobs")).json())["items"]
        assert {one["key"] for one in listed if one["given_up_at"]} == {"mended", "hopeless"}
        assert {one["plugin"] for one in listed if one["is_scheduled"]} == {"notify", "locks"}
        one = {"plugin": "signage", "job": "end notice"}
        assert (await client.post("/api/v1/jobs/run-now", json=one | {"key": "mended"})).status == 204
        assert (await client.post("/api/v1/jobs/drop", json=one | {"key": "hopeless"})).status == 204
        await until_only(hub)
        assert await problem(await client.post("/api/v1/jobs/drop", json=one | {"key": "hopeless"})) == "not-found"


async def test_the_page_plugins_says_that_jobs_were_given_up(hub: Hub) -> None:
    hub.jobs.given_up["signage"] = 2
    async with browser(hub, "it") as it:
        page = await (await it.get(f"{hub.settings.web.address}/plugins")).text()
    assert "Oppgitte jobbar: 2." in page


async def test_a_plugin_that_is_switched_off_keeps_its_jobs(hub: Hub) -> None:
    await hub.lifecycle.switch("signage", is_on=False)
    await put(hub, "waits")
    await hub.store.write(lambda connection: hub.jobs.run_now(connection, "signage", "end notice", "waits") and None)
    await hub.lifecycle.switch("notify", is_on=False)  # something else happens
    assert await keys(hub) == {"waits"}
    await hub.lifecycle.switch("signage", is_on=True)
    await until_only(hub)
    await until(lambda: not hub.jobs.given_up)
