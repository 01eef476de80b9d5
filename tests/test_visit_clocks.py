"""A kiosk's clock decides nothing: who is in the building goes by the hub's time, and what is odd is shown."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from devices.contract import kiosk as contract
from devices.contract.alive import Heartbeat
from devices.contract.payload import new_id
from hub.hub import Hub
from hub.store.store import now
from plugins.checkin import rows
from plugins.checkin.contract import Present, present
from plugins.checkin.models import Visit
from plugins.checkin.service import Visits
from plugins.checkin.timing import timing_of
from tests.api_client import browser
from tests.conftest import until, until_async
from tests.kiosk_client import KioskClient, a_visit

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY_ENDED = datetime(2026, 11, 22, 21, tzinfo=UTC)
HOUR = 3600.0


@pytest.mark.parametrize(
    ("said", "offset", "expected"),
    [
        (NOON, 0.0, None),
        (NOON, None, None),
        (NOON - timedelta(seconds=90), 0.0, None),
        (NOON - timedelta(hours=26), None, "clock"),  # no heartbeat yet: nobody can know, and they are here
        (NOON - timedelta(hours=26), -26 * HOUR, "clock"),
        (NOON - timedelta(hours=26), 0.4, "late"),
        (NOON - timedelta(hours=26, minutes=10), -26 * HOUR, "waited"),  # both
        (NOON - timedelta(minutes=10), 0.0, "waited"),
        (NOON - timedelta(minutes=61), 0.0, "late"),
        (datetime(1970, 1, 1, tzinfo=UTC), 0.0, "clock"),  # its clock has been set since
        (datetime(1970, 1, 1, tzinfo=UTC), None, "clock"),
        (NOON + timedelta(hours=3), 0.0, "clock"),
        (NOON + timedelta(hours=3), 3 * HOUR, "clock"),
        (NOON + timedelta(hours=3), None, "clock"),
        (NOON + timedelta(seconds=90), 0.0, None),
        (NOON + timedelta(minutes=3), 0.0, "clock"),
        (NOON + timedelta(hours=2, minutes=50), 3 * HOUR, "waited"),  # both
        (NOON + timedelta(hours=1), 3 * HOUR, "late"),
    ],
)
def test_a_wrong_clock_and_a_wait_are_told_apart(said: datetime, offset: float | None, expected: str | None) -> None:
    assert timing_of(said, NOON, offset, DAY_ENDED) == expected


def test_what_was_registered_before_the_day_ended_is_late_however_short_it_waited() -> None:
    morning = DAY_ENDED + timedelta(minutes=5)
    assert timing_of(morning - timedelta(minutes=10), morning, 0.0, DAY_ENDED) == "late"


def visits(hub: Hub) -> Visits:
    return hub.host.plugins["checkin"].instance.visits


async def arrive(client: KioskClient, at: datetime | str, name: str = "Ola Besøk") -> contract.Receipt:
    host = (await client.search("kari")).hosts[0].id
    visit = a_visit(host, name).model_dump(mode="json") | {"arrived_at": at if isinstance(at, str) else at.isoformat()}
    client.say("visit", orjson.dumps(visit))
    return await client.hear(contract.Receipt, of=visit["id"])


async def beat(hub: Hub, client: KioskClient, at: datetime) -> None:
    client.say("heartbeat", Heartbeat(sent_at=at, version="1", uptime_seconds=1))
    await until(lambda: hub.devices.vitals("kiosk-1").heartbeat)


async def inside(hub: Hub) -> list[Present]:
    """After the sweep that ends days and forgets."""
    at = now()
    await hub.store.write(lambda connection: rows.end_day(connection, visits(hub)._last_day_end(at), at))
    await hub.store.write(lambda connection: rows.forget(connection, at - timedelta(hours=24)))
    return [one for found in await hub.hooks.all(present) for one in found]


async def stored(hub: Hub, visit: str) -> Visit:
    found = await visits(hub).get(visit)
    assert found is not None
    return found


async def test_whatever_a_kiosks_clock_says_its_visitor_is_in_the_building(hub: Hub, kiosk: KioskClient) -> None:
    for said in ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", -26, 26):
        await comes_and_goes(hub, kiosk, now() + timedelta(hours=said) if isinstance(said, int) else said)


async def comes_and_goes(hub: Hub, kiosk: KioskClient, said: datetime | str) -> None:
    receipt = await arrive(kiosk, said)
    assert receipt.result == "registered"
    assert [one.name for one in await inside(hub)] == ["Ola Besøk"]
    visit = await stored(hub, receipt.of)
    assert visit.timing == "clock"
    assert abs(visit.registered_at - now()) < timedelta(minutes=1)
    out = contract.CheckOut(id=new_id(), number=receipt.number or "", left_at=visit.arrived_at)
    kiosk.say("checkout", out)
    assert (await kiosk.hear(contract.Receipt, of=out.id)).result == "checked_out"
    assert await inside(hub) == []
    left = await stored(hub, receipt.of)
    assert left.visitor == "Ola Besøk"  # kept for as long as the municipality decided, by the hub's clock
    assert left.left_at is not None
    assert abs(left.left_at - now()) < timedelta(minutes=1)


async def test_a_wrong_clock_is_shown_at_the_visit_and_on_the_tablets_page(hub: Hub, kiosk: KioskClient) -> None:
    await arrive(kiosk, now() - timedelta(hours=26))
    async with browser(hub, "it") as it, it.get(f"{hub.settings.web.address}/devices/kiosk-1") as page:
        assert "klokka går" in (await page.text())
    async with browser(hub, "front_line") as desk, desk.get(f"{hub.settings.web.address}/visits") as page:
        assert "Klokka på nettbrettet går feil" in (await page.text())


async def test_a_visit_that_waited_overnight_is_for_the_desk_to_decide(hub: Hub, kiosk: KioskClient) -> None:
    await beat(hub, kiosk, now())
    receipt = await arrive(kiosk, now() - timedelta(hours=26))
    assert receipt.host_is_told is False
    (one,) = await inside(hub)  # it does not vanish before somebody has looked
    assert one.late_since is not None
    visit = await stored(hub, receipt.of)
    assert (visit.timing, visit.told) == ("late", None)
    address = hub.settings.web.address
    async with browser(hub, "front_line") as desk:
        async with desk.get(f"{address}/visits") as page:
            assert "Venta i nettbrettet" in await page.text()
        async with desk.get(f"{address}/visits/evacuation") as page:
            assert "kan ha gått" in await page.text()
        async with desk.post(f"{address}/visits/{receipt.of}/here", allow_redirects=False) as answer:
            assert answer.status == 303
    await until_told(hub, receipt.of)
    assert (await stored(hub, receipt.of)).timing == "waited"


async def until_told(hub: Hub, visit: str) -> None:
    async def is_tried() -> bool:
        return (await stored(hub, visit)).told is not None

    await until_async(is_tried)


async def test_a_check_out_that_waited_overnight_is_not_of_todays_visitor(hub: Hub, kiosk: KioskClient) -> None:
    """Their numbers may be the same."""
    await beat(hub, kiosk, now())
    receipt = await arrive(kiosk, now())
    out = contract.CheckOut(id=new_id(), number=receipt.number or "", left_at=now() - timedelta(hours=16))
    kiosk.say("checkout", out)
    assert (await kiosk.hear(contract.Receipt, of=out.id)).reason == "unknown_number"
    assert len(await inside(hub)) == 1
