"""A controller whose clock is wrong decides nothing by it: alone, after a power cut, and with no battery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from devices.access.deciding import Fingerprints, decide
from devices.access.lists import Credential, Opening, Rule
from devices.access.passes import PREFIX, Pass
from devices.access.times import Times, Weekly
from devices.contract.door import Event, State
from devices.contract.enrolment import Enrolment
from devices.door.controller import Controller
from devices.door.deciding.clock import PATIENCE_SECONDS, TimeOfDay
from devices.door.hardware.simulated import SimulatedDoor, SimulatedReader
from devices.door.identity import Identity
from devices.door.memory.journal import Journal
from tests.access.test_deciding import CARD, access
from tests.door.desk import Desk
from tests.door.lists import KARI, signed_list

EVENING = datetime(2026, 11, 23, 21, 45, tzinfo=UTC)
"""22:45 in Oslo, on a Monday."""
NOON = EVENING.replace(hour=11, minute=0)
OFFICE = Times(weekly=(Weekly(days=frozenset(range(1, 8)), start=7 * 60, end=16 * 60),))


class Machine:
    """A time of day, seconds that only grow, and a time server or none."""

    def __init__(self, wall: datetime, start: str = "first") -> None:
        self.wall = wall
        self.seconds = 100.0
        self.start = start
        self.is_synchronised = True
        self.kept: dict[str, str] = {}

    def passes(self, **time: float) -> None:
        self.wall += timedelta(**time)
        self.seconds += timedelta(**time).total_seconds()

    def time_of_day(self) -> TimeOfDay:
        return TimeOfDay(
            self.kept,
            lambda: self.seconds,
            wall=lambda: self.wall,
            is_synchronised=lambda: self.is_synchronised,
            start=self.start,
        )

    def is_off_until(self, wall: datetime) -> None:
        """Started again, with what its clock says without a battery."""
        self.wall, self.seconds, self.start, self.is_synchronised = wall, 5.0, "second", False


def test_the_time_counts_once_the_system_follows_a_time_server() -> None:
    machine = Machine(EVENING)
    machine.is_synchronised = False
    time = machine.time_of_day()
    assert time.now() is None
    machine.is_synchronised = True
    assert time.now() == EVENING


def test_it_goes_on_counting_without_the_time_server_and_over_a_restart_of_the_program() -> None:
    machine = Machine(EVENING)
    time = machine.time_of_day()
    machine.kept.update([time.save(at_once=True) or pytest.fail("not noted")])
    machine.is_synchronised = False
    machine.passes(hours=30)
    assert time.now() == machine.wall
    assert machine.time_of_day().now() == machine.wall
    machine.wall += timedelta(hours=1)  # somebody sets it
    assert time.now() is None
    assert machine.time_of_day().now() is None


def test_after_a_power_cut_nothing_counts_until_there_is_a_time_server() -> None:
    machine = Machine(EVENING)
    machine.kept.update([machine.time_of_day().save(at_once=True) or pytest.fail("not noted")])
    machine.is_off_until(EVENING + timedelta(minutes=5))
    assert machine.time_of_day().now() is None
    machine.is_synchronised = True
    assert machine.time_of_day().now() == machine.wall


def test_a_clock_behind_what_is_known_is_wrong_whatever_the_system_says() -> None:
    machine = Machine(EVENING)
    machine.kept.update([machine.time_of_day().save(at_once=True) or pytest.fail("not noted")])
    machine.wall = NOON
    assert machine.time_of_day().now() is None
    machine.wall = EVENING - timedelta(minutes=1)
    assert machine.time_of_day().now() == machine.wall
    time = machine.time_of_day()
    time.advance_to(EVENING + timedelta(hours=1))  # the hub's list was made then
    assert time.now() is None


def test_a_wrong_time_is_never_noted() -> None:
    """One start in the year 2099 would shut the door out of all the years before."""
    machine = Machine(datetime(2099, 1, 1, tzinfo=UTC))
    machine.is_synchronised = False
    assert machine.time_of_day().save(at_once=True) is None


def test_it_is_told_once_and_not_while_the_machine_starts() -> None:
    machine = Machine(EVENING)
    machine.is_synchronised = False
    time = machine.time_of_day()
    assert time.changed() is None
    machine.passes(seconds=PATIENCE_SECONDS + 1)
    assert [time.changed(), time.changed()] == [False, None]
    machine.is_synchronised = True
    assert [time.changed(), time.changed()] == [True, None]


# -- the real controller at a real broker ---------------------------------------------------------------------


@pytest.fixture
def door_key(enrolment: Enrolment) -> SigningKey:
    return SigningKey(bytes.fromhex(enrolment.device_key))


@asynccontextmanager
async def serving(
    desk: Desk, enrolment: Enrolment, folder: Path, wall: datetime, *, is_synchronised: bool = False
) -> AsyncIterator[SimulatedReader]:
    """A controller whose clock says this time, and goes on from there."""
    reader, stop, began = SimulatedReader(), asyncio.Event(), datetime.now(UTC)
    door = Controller(
        Identity.of(enrolment),
        SimulatedDoor("seed"),
        Journal(folder),
        (reader,),
        wall=lambda: wall + (datetime.now(UTC) - began),
        is_synchronised=lambda: is_synchronised,
    )
    running = asyncio.create_task(door.run(stop))
    try:
        boots = len({state.boot for state in desk.all(State)})
        await desk.until(lambda: len({state.boot for state in desk.all(State)}) > boots)
        await desk.until(lambda: desk.all(State)[-1].lock == "locked")
        yield reader
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait([running])


async def has_list(desk: Desk, door_key: SigningKey, version: int, **changes: object) -> None:
    made = {"made_at": EVENING - timedelta(hours=20), "valid_until": EVENING + timedelta(hours=20)} | changes
    desk.say("list", signed_list(desk.hub_key, door_key.verify_key, version, **made), retain=True)
    await desk.until(lambda: [state for state in desk.all(State) if state.list_version == version])


async def passage(desk: Desk, reader: SimulatedReader, what: str = f"show card:{KARI}") -> Event:
    """What the door alone makes of what is shown."""
    before = len(passages(desk))
    reader.handle_line(what)
    return (await desk.until(lambda: passages(desk)[before:]))[0]


def passages(desk: Desk) -> list[Event]:
    numbered = {event.id: event for event in desk.all(Event) if event.kind in ("granted", "denied")}
    return list(numbered.values())


async def test_the_hour_at_which_the_power_went_opens_nothing(
    desk: Desk, enrolment: Enrolment, tmp_path: Path, door_key: SigningKey
) -> None:
    """Denied at 22:45; the power comes back, the clock says noon, and at noon the card would open."""
    async with serving(desk, enrolment, tmp_path / "state", EVENING, is_synchronised=True) as reader:
        await has_list(desk, door_key, 1, rules=(Rule(id=1, times=OFFICE),), opening=Opening(times=OFFICE))
        assert (await passage(desk, reader)).reason == "not_now"
    for is_synchronised in (False, True):
        async with serving(desk, enrolment, tmp_path / "state", NOON, is_synchronised=is_synchronised) as reader:
            denied = await passage(desk, reader)
            assert (denied.kind, denied.reason) == ("denied", "clock_wrong")
            state = desk.all(State)[-1]
            assert (state.knows_time, state.lock) == (False, "locked")


async def test_a_door_without_a_time_lets_in_cards_without_limits_where_it_is_told_to(
    desk: Desk, enrolment: Enrolment, tmp_path: Path, door_key: SigningKey
) -> None:
    year = EVENING.year
    async with serving(desk, enrolment, tmp_path / "state", EVENING.replace(year=year - 50)) as reader:
        await has_list(desk, door_key, 1)
        assert (await passage(desk, reader)).reason == "clock_wrong"
        await has_list(desk, door_key, 2, without_clock="cards_without_limits")
        assert (await passage(desk, reader)).kind == "granted"
        until = Rule(id=1, times=Times(last=EVENING.date()))
        await has_list(desk, door_key, 3, without_clock="cards_without_limits", rules=(until,))
        assert (await passage(desk, reader)).reason == "clock_wrong"
        await has_list(desk, door_key, 4, without_clock="cards_without_limits", lockdown=True)
        assert (await passage(desk, reader)).reason == "lockdown"
        seconds = int(EVENING.timestamp())
        made = Pass(id="p1", doors=("door-1",), first=seconds - 60, until=seconds + 600, once=True)
        text = made.text("hub-1", desk.hub_key.sign(PREFIX + made.content()).signature)
        await has_list(desk, door_key, 5, without_clock="cards_without_limits")
        assert (await passage(desk, reader, f"qr {text}")).reason == "clock_wrong"


def test_a_credential_with_days_of_its_own_waits_for_the_time() -> None:
    without = access(without_clock="cards_without_limits", rules=(Rule(id=2),))
    free, bound = Credential("kari", frozenset({2})), Credential("ola", frozenset({2}), until=2**40)
    assert decide(without, {CARD: free}, Fingerprints(CARD), None).is_granted
    assert decide(without, {CARD: bound}, Fingerprints(CARD), None).reason == "clock_wrong"
    never_alone = without.model_copy(update={"valid_until": without.made_at})
    assert decide(never_alone, {CARD: free}, Fingerprints(CARD), None).reason == "list_expired"
