"""The visitor's journey over real MQTT: search, register, receipt, answer, check-out; and what must be refused."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from devices.contract import kiosk as contract
from devices.contract.payload import new_id
from hub.hub import Hub
from plugins.checkin import rows
from plugins.checkin.contract import present
from plugins.checkin.service import Visits
from tests.conftest import running_hub, until, until_async
from tests.kiosk_client import KioskClient, a_visit


def visits(hub: Hub) -> Visits:
    return hub.host.plugins["checkin"].instance.visits


async def kari(client: KioskClient) -> str:
    return (await client.search("kari")).hosts[0].id


async def test_a_search_finds_names_by_their_beginnings(kiosk: KioskClient) -> None:
    assert [host.name for host in (await kiosk.search("kar")).hosts] == ["Kari Nordmann", "Karl-Åge Bjørnstad"]
    assert [host.name for host in (await kiosk.search("NORD")).hosts] == ["Kari Nordmann"]
    assert [host.name for host in (await kiosk.search("age bjør")).hosts] == ["Karl-Åge Bjørnstad"]


async def test_the_same_silence_for_too_few_letters_protected_disabled_and_unknown(kiosk: KioskClient) -> None:
    for text in ("ka", "k a", "karen", "karsten", "zzz", "", "%", "*"):
        assert (await kiosk.search(text)).hosts == [], text


async def test_a_host_is_shown_by_name_and_unit_only(kiosk: KioskClient) -> None:
    found = (await kiosk.search("kari")).hosts[0]
    assert found.model_dump().keys() == {"id", "name", "unit"}
    assert "kari" not in found.id


async def test_registered_only_after_the_commit(hub: Hub, kiosk: KioskClient) -> None:
    receipt = await kiosk.register(await kari(kiosk))
    assert receipt.result == "registered"
    assert receipt.number is not None
    stored = await visits(hub).get(receipt.of)
    assert stored is not None
    assert (stored.visitor, stored.host_name, stored.kiosk) == ("Ola Besøk", "Kari Nordmann", "kiosk-1")


async def test_the_same_visit_twice_is_one_visit_with_one_number(hub: Hub, kiosk: KioskClient) -> None:
    visit = a_visit(await kari(kiosk))
    for _ in range(20):
        kiosk.say("visit", visit)
    await until(lambda: len(kiosk.receipts(visit.id)) == 20)
    assert len({receipt.number for receipt in kiosk.receipts(visit.id)}) == 1
    assert await visits(hub).count_inside() == 1


async def test_no_receipt_while_the_store_cannot_write(
    hub: Hub, kiosk: KioskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await kari(kiosk)
    visit = a_visit(host)

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(rows, "add_all", broken)
    kiosk.say("visit", visit)
    await until(lambda: hub.host.plugins["checkin"].last_failure)
    assert kiosk.receipts(visit.id) == []
    monkeypatch.undo()
    kiosk.say("visit", visit)
    assert (await kiosk.hear(contract.Receipt, of=visit.id)).result == "registered"


@pytest.mark.parametrize("who", ["karen", "nobody"])
async def test_a_visit_to_somebody_who_cannot_be_visited_is_refused(hub: Hub, kiosk: KioskClient, who: str) -> None:
    directory = hub.host.plugins["directory"].instance
    ids = {employee.name.split()[0].lower(): employee.id for employee in directory.people}
    receipt = await kiosk.register(ids.get(who, "nobody"))
    assert (receipt.result, receipt.reason) == ("refused", "unknown_host")
    assert await visits(hub).count_inside() == 0


async def test_names_as_people_and_pranksters_write_them(hub: Hub, kiosk: KioskClient) -> None:
    for written, kept in {
        "  Ola   Nordmann ": "Ola Nordmann",
        "<script>alert(1)</script>": "<script>alert(1)</script>",
        "Ola\u202egnp.exe": "Olagnp.exe",
        "Zoë 👩‍👧 محمد": "Zoë 👩‍👧 محمد",
        "Å" * 80: "Å" * 80,
    }.items():
        visit_id = new_id()
        raw = a_visit(await kari(kiosk), "x", visit_id).model_dump(mode="json") | {"visitor": written}
        kiosk.say("visit", orjson.dumps(raw))
        assert (await kiosk.hear(contract.Receipt, of=visit_id)).result == "registered", written
        stored = await visits(hub).get(visit_id)
        assert stored is not None
        assert stored.visitor == kept


async def test_a_name_that_is_none_is_refused_for_good_and_the_device_is_named(hub: Hub, kiosk: KioskClient) -> None:
    for number, name in enumerate(("", "   ", "\u202e\u200b", "😀", "Å" * 81, None, 7), 1):
        visit_id = new_id()
        raw = a_visit(await kari(kiosk), "x", visit_id).model_dump(mode="json") | {"visitor": name}
        kiosk.say("visit", orjson.dumps(raw))
        receipt = await kiosk.hear(contract.Receipt, of=visit_id)
        assert (receipt.result, receipt.reason) == ("refused", "malformed"), name
        vitals = hub.devices.vitals("kiosk-1")
        assert vitals.refused == number
        assert vitals.last_refusal is not None
        assert vitals.last_refusal.startswith("visit: malformed: visitor")


async def test_what_is_no_message_at_all_is_counted_and_hurts_nobody(hub: Hub, kiosk: KioskClient) -> None:
    for payload in (b"\xff\xfe", b"[]", b"{", b'"x"', b"null", b"{" * 10_000):
        kiosk.say("visit", payload)
    await until(lambda: hub.devices.vitals("kiosk-1").refused == 6)
    assert (await kiosk.register(await kari(kiosk))).result == "registered"


async def test_a_retained_visit_is_refused(hub: Hub, kiosk: KioskClient) -> None:
    """It would come back at every start of the hub."""
    visit = a_visit(await kari(kiosk))
    kiosk.say("visit", visit, retain=True)
    await kiosk.hear(contract.Receipt, of=visit.id)  # live it is as good as any
    wire = hub.mqtt.wire
    assert wire is not None
    wire.subscribe("kommunevert/test/+/+/up/#")  # the broker sends what it has retained again
    await until(lambda: hub.devices.vitals("kiosk-1").last_refusal == "visit: retained")


async def test_check_out_by_number_once(hub: Hub, kiosk: KioskClient) -> None:
    number = (await kiosk.register(await kari(kiosk))).number
    assert number is not None
    out = _check_out(number)
    for _ in range(2):
        kiosk.say("checkout", out)
    await until(lambda: len(kiosk.receipts(out.id)) == 2)
    assert {receipt.result for receipt in kiosk.receipts(out.id)} == {"checked_out"}
    assert await visits(hub).count_inside() == 0
    again = _check_out(number)
    kiosk.say("checkout", again)
    assert (await kiosk.hear(contract.Receipt, of=again.id)).reason == "unknown_number"


def _check_out(number: str) -> contract.CheckOut:
    return contract.CheckOut(id=new_id(), number=number, left_at=datetime.now(UTC))


async def test_the_evacuation_list_is_who_has_come_and_not_left(hub: Hub, kiosk: KioskClient) -> None:
    host = await kari(kiosk)
    first = await kiosk.register(host, "Ada Inne")
    second = await kiosk.register(host, "Bo Ute")
    assert second.number is not None
    out = _check_out(second.number)
    kiosk.say("checkout", out)
    await kiosk.hear(contract.Receipt, of=out.id)
    inside = [one for found in await hub.hooks.all(present) for one in found]
    assert [(one.name, one.belongs_to) for one in inside] == [("Ada Inne", "Kari Nordmann")]
    assert first.number != second.number


async def test_a_kiosk_may_not_ask_without_end(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["plugins"]["checkin"] = {"searches_per_minute": 3}
    async with running_hub(settings, tmp_path) as hub:
        enrolment = await hub.enroller.enrol("kiosk-1", "kiosk", "Nettbrett", "", "test")
        async with KioskClient(enrolment).connected() as client:
            answers = [await client.search("kari") for _ in range(4)]
    assert [bool(one.hosts) for one in answers] == [True, True, True, False]
    assert answers[3].wait_seconds > 0


async def test_what_is_personal_is_forgotten(hub: Hub, kiosk: KioskClient) -> None:
    receipt = await kiosk.register(await kari(kiosk), "Gløym Meg")
    await visits(hub).check_out(receipt.of, "test")
    later = datetime.now(UTC) + timedelta(hours=25)
    assert await hub.store.write(lambda connection: rows.forget(connection, later)) == [receipt.of]
    stored = await visits(hub).get(receipt.of)
    assert stored is not None
    assert (stored.visitor, stored.host_name, stored.number) == (None, None, None)


async def test_the_host_without_any_channel_is_the_desks_to_tell(hub: Hub, kiosk: KioskClient) -> None:
    receipt = await kiosk.register(await kari(kiosk))  # this configuration has no mail server
    assert receipt.host_is_told is False

    async def is_marked() -> bool:
        stored = await visits(hub).get(receipt.of)
        return stored is not None and stored.told is False

    await until_async(is_marked)


async def test_many_kiosks_at_once(hub: Hub) -> None:
    enrolments = [await hub.enroller.enrol(f"kiosk-{n}", "kiosk", f"Nettbrett {n}", "", "test") for n in range(10, 20)]

    async def arrive(client: KioskClient) -> int:
        async with client.connected():
            host = await kari(client)
            results = await asyncio.gather(*(client.register(host, f"Gjest {n}") for n in range(20)))
            return sum(one.result == "registered" for one in results)

    assert await asyncio.gather(*(arrive(KioskClient(one)) for one in enrolments)) == [20] * 10
    assert await visits(hub).count_inside() == 200
