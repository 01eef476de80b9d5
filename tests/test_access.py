"""Who may pass: rules and cards on the hub, the list at the door, and the answer to a card that is shown."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from devices.access.credentials import fingerprint
from devices.access.passes import PREFIX, Pass
from devices.access.times import Times, Weekly
from devices.contract import door as contract
from hub.devices.registry import Place
from hub.hub import Hub
from hub.store import audit
from hub.store.store import now
from plugins.locks import Plugin
from plugins.locks.models import AccessRule, DoorSettings, KnownCredentialError, Order, Where, Who
from plugins.locks.operating.dispatch import Dispatcher
from plugins.locks.rules.inside import Inside
from plugins.locks.store import rows
from plugins.locks.store.tables import command as command_table
from plugins.locks.store.tables import event as event_table
from plugins.locks.trust.signing import SigningError
from tests.api_client import actions, browser, problem, program
from tests.conftest import settled, until, until_async
from tests.door.door_process import DoorProcess
from tests.door_client import DoorClient
from tests.patience import PATIENCE_SECONDS

CARD, LOST, NEW = "card:26:12:3456", "card:26:12:777", "uid:04a2b3c4"
NIGHT = Times(weekly=(Weekly(days={(now().isoweekday() % 7) + 1}, start=0, end=1),))
"""Not now."""


def locks(hub: Hub) -> Plugin:
    plugin: Plugin = hub.host.plugins["locks"].instance
    return plugin


def person(hub: Hub, name: str) -> str:
    return next(one.id for one in hub.host.plugins["directory"].instance.people if one.name.startswith(name))


def everywhere(**changes: Any) -> AccessRule:
    made: dict[str, Any] = {"name": "Alle", "who": Who(everybody=True), "where": Where(everywhere=True)}
    return AccessRule(**(made | changes))


@pytest_asyncio.fixture
async def door(hub: Hub) -> AsyncIterator[DoorClient]:
    """With Kari's card, and a rule that lets all employees in."""
    enrolment = await hub.enroller.enrol("door-1", "door", "Hovudinngang", Place(zone="Inngang"), "test")
    access = locks(hub).access
    await until(lambda: access.rule_book.units)
    async with DoorClient(enrolment).connected() as client:
        await client.list_with(lambda one: one.access.version >= 1)
        await access.save_rule(everywhere(), "kari")
        await access.add_card(client.fingerprint(CARD), person(hub, "Kari"), "blått kort", "kari")
        await client.list_with(lambda one: one.roll())
        await until(lambda: locks(hub).states.of("door-1").lock == "locked")
        await settled(hub)
        yield client


async def test_a_real_door_with_and_without_its_hub(hub: Hub, tmp_path: Path) -> None:
    """The controller's own program: by the hub's answer; alone while the broker is stopped; and told afterwards."""
    assert hub.broker is not None
    access = locks(hub).access
    (tmp_path / "door").mkdir()
    process = DoorProcess(tmp_path / "door", await hub.enroller.enrol("door-9", "door", "Bakdør", "", "test"))
    await until(lambda: access.rule_book.units)
    await access.save_rule(everywhere(), "kari")
    await access.add_card(fingerprint(access.key, CARD), person(hub, "Kari"), "blått kort", "kari")
    await process.start()
    try:
        await until(lambda: locks(hub).states.of("door-9").list_version > 0)
        await settled(hub)
        process.say(f"show {CARD}")
        await until(lambda: process.pulses() == 1)
        await until_async(lambda: ends_done(hub))
        pid = int((hub.settings.data / "broker" / "mosquitto.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            process.say(f"show {CARD}")
            await until(lambda: process.pulses() == 2)
        finally:
            os.kill(pid, signal.SIGCONT)

        async def is_told() -> bool:
            query = select(event_table).where(event_table.c.kind == "granted")
            found = await hub.store.read(lambda connection: list(connection.execute(query)))
            return bool(found) and found[0].credential is not None

        await until_async(is_told)
        assert "door.granted" in [action for _, action in await actions(hub)]
        assert await locks(hub).locks.send("door-9", Order("hold_open", hold_seconds=60), "vakt", "varer") == "done"
        await until(lambda: locks(hub).states.of("door-9").mode == "held_open")
        assert await locks(hub).locks.send("door-9", Order("resume"), "vakt") == "done"
        await until(lambda: locks(hub).states.of("door-9").lock == "locked")

        async with program(hub) as api:
            shut = await api.post("lockdown", json={"zone": "", "is_on": True, "reason": "øving"})
            assert await shut.json() == {"results": {"door-9": "done"}}
            await until(lambda: locks(hub).states.of("door-9").lockdown)
            assert (await (await api.get("doors/door-9")).json())["is_locked_down"] is True
            assert [one["zone"] for one in (await (await api.get("lockdowns")).json())["items"]] == [""]
            process.say(f"show {CARD}")
            await until(lambda: [one["signal"] for one in process.lines("reader_signal")][-1] == "denied")
            assert process.pulses() == 2
            opened = await api.post("lockdown", json={"zone": "", "is_on": False, "reason": "øving over"})
            assert await opened.json() == {"results": {"door-9": "done"}}
            held = await api.post("doors/door-9/order", json={"verb": "hold_open", "hold_seconds": 60})
            assert await held.json() == {"result": "done"}
            (card,) = (await (await api.get("credentials")).json())["items"]
            assert card["label"] == "blått kort"
            assert (await api.post(f"credentials/{card['ref']}/end", json={"why": "lost"})).status == 200
            assert await problem(await api.post(f"credentials/{card['ref']}/end", json={"why": "lost"})) == "not-found"
    finally:
        await process.stop()


async def ends_done(hub: Hub) -> bool:
    return [row.outcome for row in await command_rows(hub)] == ["done"]


async def command_rows(hub: Hub) -> list[Any]:
    query = select(command_table).order_by(command_table.c.asked_at)
    return await hub.store.read(lambda connection: list(connection.execute(query)))


async def test_a_card_that_may_gets_a_signed_answer_and_its_line_in_the_log(hub: Hub, door: DoorClient) -> None:
    answer = await door.show(CARD)
    assert (answer.verb, answer.pulse_ms) == ("pulse", 4000)
    (row,) = await command_rows(hub)
    card = door.credential(CARD)
    assert card is not None
    assert (row.id, row.credential, row.outcome, row.audit) == (answer.command, card.ref, None, answer.audit)
    assert (row.detail["reader"], row.detail["side"]) == ("ute", "in")
    door.outcome(answer.command)
    await door.receipt_of(answer.command)
    assert (await command_rows(hub))[0].outcome == "done"


async def test_what_is_unknown_or_may_not_is_denied_with_a_reason(hub: Hub, door: DoorClient) -> None:
    answer = await door.show(LOST)
    assert (answer.verb, answer.why, answer.pulse_ms) == ("deny", "unknown", None)
    number = locks(hub).access.rule_book.rules[0].id  # type: ignore[index]
    await locks(hub).access.save_rule(everywhere(id=number, times=NIGHT), "kari")
    assert (await door.show(CARD)).why == "not_now"
    kept = {one.why: one for one in await command_rows(hub)}  # a card that was answered too late is shown again
    unknown, not_now = kept["unknown"], kept["not_now"]
    assert (unknown.credential, unknown.detail["shown"]) == (None, door.fingerprint(LOST))
    assert (not_now.why, not_now.outcome) == ("not_now", "done")
    assert "3456" not in repr([unknown, not_now])


async def test_a_lost_card_is_gone_from_hub_and_list_at_once(hub: Hub, door: DoorClient) -> None:
    card = door.credential(CARD)
    assert card is not None
    began = asyncio.get_running_loop().time()
    await locks(hub).access.end_credential(card.ref, "lost", "vakt")
    assert (await door.show(CARD)).why == "unknown"
    await door.list_with(lambda one: not one.roll())
    assert asyncio.get_running_loop().time() - began < 5
    assert ("vakt", "credential.ended") in await actions(hub)
    # found again, it may be given to somebody: a new credential, the old one stays ended
    again = await locks(hub).access.add_card(door.fingerprint(CARD), None, "gjest", "vakt")
    assert again != card.ref
    with pytest.raises(KnownCredentialError):
        await locks(hub).access.add_card(door.fingerprint(CARD), None, "ein til", "vakt")


async def test_a_card_is_learnt_by_showing_it(hub: Hub, door: DoorClient) -> None:
    learning = asyncio.create_task(locks(hub).access_requests.learn("door-1", 10))
    await asyncio.sleep(0)
    assert (await door.show(CARD)).verb == "pulse"  # somebody's already: it is let in, and not learnt
    assert (await door.show(NEW)).verb == "deny"
    shown = await learning
    assert shown == door.fingerprint(NEW)
    await locks(hub).access.add_card(shown, person(hub, "Kari"), "ny", "kari")
    assert (await door.show(NEW)).verb == "pulse"
    with pytest.raises(TimeoutError):
        await locks(hub).access_requests.learn("door-1", 0.05)
    assert (await door.show(LOST)).why == "unknown"  # nobody learns any more


async def test_card_and_pin_and_a_pin_under_threat(hub: Hub, door: DoorClient) -> None:
    access = locks(hub).access
    await access.save_rule(everywhere(id=access.rule_book.rules[0].id, asks="card_and_pin"), "kari")  # type: ignore[index]
    kari = person(hub, "Kari")
    pin = await access.give_pin(kari, "kari", opens_alone=False)
    duress = await access.give_pin(kari, "kari", opens_alone=False, is_duress=True)
    assert (await door.show(CARD)).why == "pin_wanted"
    assert (await door.show(CARD, "000000")).why == "wrong_pin"
    assert (await door.show(CARD, pin)).verb == "pulse"
    assert (await door.show(pin=pin)).why == "unknown"
    assert (await door.show(CARD, duress)).verb == "pulse"
    assert (await command_rows(hub))[-1].detail["is_duress"] is True
    newest = await door.list_with(lambda one: (found := one.roll().get(door.fingerprint(CARD))) and found.duress)
    assert pin not in newest.model_dump_json()
    rows = await hub.store.read(audit.newest)
    assert not [one for one in rows if pin in repr(one) or duress in repr(one)]


async def test_who_leaves_the_municipality_leaves_the_doors(hub: Hub, door: DoorClient, tmp_path: Path) -> None:
    people = (tmp_path / "people.ldif").read_text()
    directory = hub.host.plugins["directory"].instance.directory
    kari = person(hub, "Kari")
    (tmp_path / "people.ldif").write_text("\n\n".join(one for one in people.split("\n\n") if "Kari" not in one))
    await directory.read_now()
    await until(lambda: kari not in locks(hub).access.rule_book.units)
    await door.list_with(lambda one: not one.roll())
    assert (await door.show(CARD)).why == "not_here"


async def test_lists_are_made_from_what_was_known_while_the_directory_is_away(hub: Hub, door: DoorClient) -> None:
    kari, version = person(hub, "Kari"), door.lists[-1].access.version
    await hub.lifecycle.switch("directory", is_on=False)
    await locks(hub).access.refresh_employees()
    await locks(hub).access.add_card(door.fingerprint(NEW), kari, "ny", "kari")
    newest = await door.list_with(lambda one: one.access.version > version)
    assert len(newest.roll()) == 2


async def test_what_was_shown_while_the_hub_was_away_is_not_answered(hub: Hub, door: DoorClient) -> None:
    """The door has decided alone long ago; what the broker kept for the hub is neither answered nor logged."""
    wire = hub.mqtt.wire
    assert wire is not None
    wire._drop()
    asked = door.asks(CARD)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await wire.until_connected()
    assert (await door.show(CARD)).verb == "pulse"  # who shows it now is answered
    assert asked.id not in door.commands
    assert asked.id not in {row.id for row in await command_rows(hub)}


async def test_an_answer_that_comes_too_late_is_not_given(
    hub: Hub, door: DoorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store was busy, and nobody waits any more: no grant that the door would refuse, and none in the log."""
    plugin, write = locks(hub), hub.store.write

    async def slowly(work: Any) -> Any:
        await asyncio.sleep(contract.ANSWER_SECONDS + 0.1)
        return await write(work)

    before = len(await command_rows(hub))
    monkeypatch.setattr(plugin.context.store, "write", slowly)
    await plugin.access_requests.answer(door.asks(CARD))
    monkeypatch.undo()
    assert len(await command_rows(hub)) == before


async def goes_through(hub: Hub, door: DoorClient) -> None:
    """The door says that it opened, and that it is shut again."""
    for contact in ("open", "closed"):
        door.contact = contact
        door.state()
        await until(lambda contact=contact: locks(hub).states.of("door-1").contact == contact)  # type: ignore[misc]


async def goes_in(hub: Hub, door: DoorClient) -> None:
    assert (await door.show(CARD)).verb == "pulse"
    await goes_through(hub, door)
    assert (await door.show(CARD)).why == "passback"


async def test_anti_passback_forgives(hub: Hub, door: DoorClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may have left unseen, by a button with a reason, and each night; but not by a restart."""
    await locks(hub).access.save_settings("door-1", DoorSettings(passback="hard", leads_to="Arkiv"), "kari")
    await goes_in(hub, door)
    await door.receipt_of(door.event(1, "exit_button"))
    await goes_in(hub, door)

    async with program(hub) as api:
        assert (await api.post("doors/door-1/forgive", json={})).status == 400
        assert (await api.post("doors/door-1/forgive", json={"reason": "gjekk ut vindauget"})).status == 204
        await goes_in(hub, door)
        (ref,) = {one.ref for one in locks(hub).access.roll.values()}
        assert (await api.post(f"credentials/{ref}/forgive", json={"reason": "det same"})).status == 204
        assert (await api.post("credentials/nobody/forgive", json={"reason": "det same"})).status == 404
    assert [action for _, action in await actions(hub)].count("passback.forgiven") == 2
    await goes_in(hub, door)

    inside = locks(hub).inside
    again = Inside(locks(hub).context, locks(hub).settings, locks(hub).access)
    await again.load()
    assert again.zone_of(ref) == inside.zone_of(ref) == "Arkiv"
    local = now().astimezone(hub.settings.site.zone)
    monkeypatch.setattr(inside, "_forgive_at", (local + timedelta(hours=1)).time())
    assert (await door.show(CARD)).why == "passback"
    monkeypatch.setattr("plugins.locks.rules.inside.now", lambda: now() + timedelta(days=1))
    assert (await door.show(CARD)).verb == "pulse"


async def test_anti_passback_and_a_sluice(hub: Hub, door: DoorClient) -> None:
    access = locks(hub).access
    await access.save_settings("door-1", DoorSettings(passback="hard", leads_to="Arkiv"), "kari")
    assert (await door.show(CARD)).verb == "pulse"
    assert (await door.show(CARD)).verb == "pulse"  # nobody has gone through yet
    await goes_through(hub, door)
    assert (await door.show(CARD)).why == "passback"
    assert (await door.show(CARD, side="out")).verb == "pulse"  # never in the direction of escape
    assert (await door.show(CARD)).why == "passback"
    assert (await door.show(CARD, side="out")).verb == "pulse"
    await goes_through(hub, door)
    assert (await door.show(CARD)).verb == "pulse"
    await goes_through(hub, door)
    await access.save_settings("door-1", DoorSettings(passback="soft", leads_to="Arkiv"), "kari")
    assert (await door.show(CARD)).verb == "pulse"
    assert (await command_rows(hub))[-1].detail["passes_back"] is True

    async with DoorClient(await hub.enroller.enrol("door-2", "door", "Sluse", "", "test")).connected() as other:
        await access.save_settings("door-1", DoorSettings(interlock_with="door-2"), "kari")
        await until(lambda: locks(hub).states.of("door-2").contact == "closed")
        assert (await door.show(CARD)).verb == "pulse"
        other.contact = "open"
        other.state()
        await until(lambda: locks(hub).states.of("door-2").contact == "open")
        assert (await door.show(CARD)).why == "interlock"


async def test_a_door_may_keep_who_passed_out_of_the_log(hub: Hub, door: DoorClient) -> None:
    await locks(hub).access.save_settings("door-1", DoorSettings(tells_grants=False), "kari")
    await door.show(CARD)
    granted = (await command_rows(hub))[-1]
    card = door.credential(CARD)
    assert card is not None
    assert granted.credential is None
    entries = [one for one in await hub.store.read(audit.newest) if one.action == "door.intent"]
    assert entries
    assert card.ref not in repr(entries)


async def test_a_list_is_made_again_before_it_runs_out(hub: Hub, door: DoorClient, monkeypatch: Any) -> None:
    first = door.lists[-1].access
    assert timedelta(hours=35.9) < first.valid_until - now() <= timedelta(hours=36)
    await locks(hub).lists.make()
    assert door.lists[-1].access.version == first.version  # nothing to say
    await locks(hub).access.save_settings("door-1", DoorSettings(offline_hours=2), "kari")
    shorter = await door.list_with(lambda one: one.access.version > first.version)
    assert shorter.access.valid_until - now() <= timedelta(hours=2)
    monkeypatch.setattr("plugins.locks.trust.lists.now", lambda: now() + timedelta(hours=1.1))
    await locks(hub).lists.make()
    await door.list_with(lambda one: one.access.version > shorter.access.version)


async def test_events_are_taken_in_order_and_what_is_missing_is_told(hub: Hub, door: DoorClient) -> None:
    door.state(mark="m1", newest=2, waiting_from=1)
    door.event(2, "exit_button")
    one = door.event(1, "forced_open")
    await door.receipt_of(one)
    two = door.event(2, "exit_button")
    await door.receipt_of(two)
    assert door.receipts.index(two) > door.receipts.index(one)
    await door.receipt_of(door.event(2, "exit_button"))  # a second time: its receipt again, and no second row

    async def kinds() -> list[str]:
        query = select(event_table.c.kind).order_by(event_table.c.received_at, event_table.c.id)
        return await hub.store.read(lambda connection: list(connection.execute(query).scalars()))

    assert sorted(await kinds()) == ["exit_button", "forced_open"]
    door.state(mark="m1", newest=9, waiting_from=6)  # 3, 4 and 5 are gone
    await door.receipt_of(door.event(6, "exit_button"))
    assert "events_missing" in await kinds()
    door.state(mark="m1", newest=3, waiting_from=None)  # an old disk
    door.state(mark="m2", newest=1, waiting_from=1)  # a new one
    await door.receipt_of(door.event(1, "started", id="1-1-m2"))
    assert {"journal_rewound", "journal_anew"} <= set(await kinds())
    assert ("hub", "door.events_missing") in await actions(hub)


async def test_where_a_doors_journal_stands_is_kept_as_it_came(hub: Hub, door: DoorClient) -> None:
    """The first state and the first events come in one breath; else an alarm that is false at the next start."""
    plugin = locks(hub)
    await until(lambda: plugin.states.of("door-1").lock == "locked")
    await hub.store.write(lambda connection: rows.save_last_event(connection, "door-1", "", 0))
    plugin.reports._journals.clear()
    await plugin.reports.load()
    heard = Dispatcher(plugin.states, plugin.locks, plugin.reports, plugin.access_requests)
    state = contract.State(
        door="door-1", boot=9, seq=1, lock="unlocked", contact="open", sent_at=now(), mark="m9", newest=0
    )
    events = [
        contract.Event(id=f"9-{n}", door="door-1", kind="exit_button", n=n, happened_at=now(), count=1) for n in (1, 2)
    ]
    await asyncio.gather(heard.state(state), *(heard.event(one) for one in events))
    position = (await hub.store.read(rows.doors))["door-1"]
    assert (position.mark, position.last_event) == ("m9", 2)


async def test_a_shown_card_that_is_played_again_is_not_answered_again(hub: Hub, door: DoorClient) -> None:
    await door.show(CARD)
    door.wire.publish(door.identity.topic("up", "shown"), door.latest["shown"])
    forged = door.latest["shown"].replace(b'"signature":"', b'"signature":"AA')
    door.wire.publish(door.identity.topic("up", "shown"), forged)
    await door.show(LOST)
    assert len(await command_rows(hub)) == 2
    assert hub.devices.vitals("door-1").last_refusal == "shown: forged: BadSignatureError"


def test_the_key_is_for_nobody_else(hub: Hub) -> None:
    (path,) = hub.settings.data.rglob("credentials.key")
    assert oct(path.stat().st_mode & 0o777) == "0o600"


async def test_a_group_of_the_directory_is_let_in(hub: Hub, door: DoorClient, settings: dict[str, Any]) -> None:
    access = locks(hub).access
    [alle] = access.rule_book.rules
    await access.save_rule(alle.model_copy(update={"who": Who(groups=("Nattevakter",))}), "kari")
    await door.list_with(lambda one: not one.roll())
    people = Path(settings["plugins"]["directory"]["source"]["file"])
    group = "memberOf: CN=Nattevakter,OU=Grupper,DC=test"
    people.write_text(people.read_text().replace("uid: kari\n", f"uid: kari\n{group}\n"))
    hub.host.plugins["directory"].instance.directory.request_read(accept_loss=False)
    await door.list_with(lambda one: one.roll())
    assert (await door.show(CARD)).verb == "pulse"
    assert (await hub.host.plugins["locks"].instance.health()).problem is None

    other = group.replace("OU=Grupper", "OU=Helse")
    people.write_text(people.read_text().replace("uid: karl\n", f"uid: karl\n{other}\n"))
    hub.host.plugins["directory"].instance.directory.request_read(accept_loss=False)
    await door.list_with(lambda one: not one.roll())
    problem = (await hub.host.plugins["locks"].instance.health()).problem
    assert "lets nobody in by the group Nattevakter, as 2 groups have this name" in problem
    async with browser(hub, "caretaker") as caretaker:
        for path, words in (
            ("/access", "fleire grupper heiter Nattevakter"),
            (f"/access/rules/{alle.id}", "Fleire grupper i katalogen heiter Nattevakter"),
        ):
            async with caretaker.get(f"{hub.settings.web.address}{path}") as page:
                assert words in await page.text()


# -- passes


async def given(hub: Hub, *, once: bool) -> tuple[str, str]:
    """A pass for the door, from a moment ago: its id and text."""
    made, text = await locks(hub).passes.make(
        "røyrleggjar", ["door-1"], now() - timedelta(minutes=1), now() + timedelta(hours=1), "kari", once=once
    )
    return made.id, text


async def test_a_pass_opens_once_or_until_it_is_taken_back(hub: Hub, door: DoorClient) -> None:
    _, once = await given(hub, once=True)
    assert (await door.show(code=once)).verb == "pulse"
    assert (await door.show(code=once)).why == "used"
    name, often = await given(hub, once=False)
    assert [(await door.show(code=often)).verb for _ in range(2)] == ["pulse", "pulse"]
    await locks(hub).passes.revoke(name, "kari")
    assert (await door.show(code=often)).why == "revoked"
    listed = await door.list_with(lambda one: one.access.revoked_passes)
    assert listed.access.revoked_passes == {name}
    assert (await door.show(code=often[:-6] + "AAAAAA")).why == "unknown"
    for secret in (once, often):
        assert not [one for one in await hub.store.read(audit.newest) if secret in str(one)]


async def test_two_doors_do_not_share_one_passage(hub: Hub, door: DoorClient) -> None:
    _, once = await given(hub, once=True)
    answers = await asyncio.gather(*(door.show(code=once) for _ in range(5)))
    assert sorted(one.verb for one in answers) == ["deny", "deny", "deny", "deny", "pulse"]


async def test_a_pass_that_a_door_took_alone_is_used(hub: Hub, door: DoorClient) -> None:
    name, once = await given(hub, once=True)
    await door.receipt_of(door.event(1, "granted", visit_pass=name))
    assert (await door.show(code=once)).why == "used"


async def test_the_signer_signs_no_pass_that_was_not_given(hub: Hub, door: DoorClient) -> None:
    forged = Pass(id="p1", doors=("door-1",), first=0, until=2**31, once=False)
    with pytest.raises(SigningError, match="no committed intent"):
        await locks(hub).hub_keys.sign_content(PREFIX + forged.content())
