"""A caretaker's day on a phone: four controllers, one of them with an OSDP reader, from the first rule to a power cut.

Everything that the caretaker does is done on the page; everything at the doors by the real controller program.
"""

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import osdp
import pytest
import pytest_asyncio
from playwright.async_api import expect

from devices.contract.door import KIND
from hub.devices.registry import Place
from hub.hub import Hub
from plugins.locks.models import Order
from plugins.locks.rules import rows as access_rows
from tests.browser.conftest import TownHall
from tests.browser.looks import CONSOLE_PHONE_PX, look
from tests.conftest import until, until_async
from tests.door.door_process import DoorProcess
from tests.door.osdp_device import OsdpDevice
from tests.door.test_reader_process import CARD_BITS, installed
from tests.test_access import CARD, locks

NAMES = {
    "door-1": ("Hovudinngang", "1. etasje"),
    "door-2": ("Bakdør", "1. etasje"),
    "door-3": ("Varemottak", "Kjellar"),
    "door-4": ("Serverrom", "Kjellar"),
}
STRANGER = "card:26:12:9"


@dataclass
class House:
    """`reader` is on the line of door-4."""

    doors: dict[str, DoorProcess]
    reader: OsdpDevice

    async def start(self, name: str) -> None:
        if name == "door-4":
            await self.doors[name].start("--pins", str(self.pins))
        else:
            await self.doors[name].start()

    @property
    def pins(self) -> Path:
        return self.doors["door-4"].state.parent / "pins.json"

    async def show(self, name: str, until_seen: Callable[[], bool]) -> None:
        """The card, and once more if nothing happens, as people do: a reader on a busy line may miss it."""
        for _ in range(4):
            if name == "door-4":
                self.reader.card(CARD_BITS)
            else:
                self.doors[name].say(f"show {CARD}")
            with suppress(TimeoutError):
                await until(until_seen, 5)
                return
        pytest.fail(f"{name} has not seen the card")

    def pulses(self) -> list[int]:
        return [one.pulses() for one in self.doors.values()]

    def denials(self, name: str) -> int:
        """How often its reader has said no: the simulated ones in the log, the real one by its light."""
        if name != "door-4":
            return sum(one["signal"] == "denied" for one in self.doors[name].lines("reader_signal"))
        colours = [one["on_color"] for one in self.reader.told(osdp.Command.LED)]
        return colours.count(osdp.CommandLEDColor.Red)


@pytest_asyncio.fixture
async def house(town_hall: TownHall, tmp_path: Path) -> AsyncIterator[House]:
    hub = town_hall.hub
    doors = {}
    for door_id, (name, floor) in NAMES.items():
        (tmp_path / door_id).mkdir()
        place = Place(floor=floor, zone="Indre" if door_id == "door-4" else "Ytre")
        doors[door_id] = DoorProcess(tmp_path / door_id, await hub.enroller.enrol(door_id, KIND, name, place, "test"))
    house = House(doors, OsdpDevice(None))
    house.reader.start()
    plan = {"kind": "osdp", "name": "ytre", "side": "in", "port": house.reader.port}
    house.pins.write_text(json.dumps({"power": "fail_secure", "readers": [plan]}))
    code, said = await installed(doors["door-4"], house.pins, "ytre")
    assert code == 0, said
    for door_id in doors:
        await house.start(door_id)
    try:
        await until(lambda: all(locks(hub).states.of(one).lock == "locked" for one in doors))
        yield house
    finally:
        for one in doors.values():
            await one.stop()
        house.reader.stop()
        house.reader.terminal.close()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The broker answers nobody, as when the network is away."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def versions(hub: Hub) -> dict[str, int]:
    """Of the lists that the doors say they use."""
    return {name: locks(hub).states.of(name).list_version for name in NAMES}


async def have_the_newest_list(hub: Hub, than: dict[str, int]) -> None:
    """Newer `than` those that were in use before what was changed: the hub makes it some milliseconds after the page."""

    async def have() -> bool:
        newest = await hub.store.read(access_rows.lists)
        return all(
            name in newest and newest[name].has_payload and used == newest[name].version and used > than[name]
            for name, used in versions(hub).items()
        )

    await until_async(have, 15)


@pytest.fixture
def settings(settings: dict[str, object]) -> dict[str, object]:
    settings["plugins"]["locks"] = {"pulse_seconds": 1.0}  # type: ignore[index]
    return settings


async def test_a_caretakers_day(town_hall: TownHall, house: House) -> None:
    hub = town_hall.hub
    phone = await town_hall.console("/doors", "caretaker", size="small phone")
    address = hub.settings.web.address

    async def page(path: str) -> None:
        await phone.goto(f"{address}{path}")

    async def pictured(name: str) -> None:
        await look(phone, f"caretaker/{name}", least_px=CONSOLE_PHONE_PX, is_whole_page=True, has_axe=False)

    # -- a rule and a card
    await page("/access/rules/new")
    await phone.locator("[name=name]").fill("Alle tilsette, alle dører")
    await phone.locator("[name=everybody]").check()
    await phone.locator("[name=everywhere]").check()
    await phone.get_by_role("button", name="Lagre", exact=True).click()
    await phone.wait_for_url("**/access")
    await page("/keys")
    await phone.locator("#card-person").fill("Kari Nordmann")
    await phone.locator("#facility").fill("12")
    await phone.locator("#number").fill("3456")
    before_card = versions(hub)
    await phone.get_by_role("button", name="Legg til kortet").click()
    await expect(phone.locator("table.keys")).to_contain_text("Kari Nordmann")
    await pictured("01-keys")
    await have_the_newest_list(hub, before_card)

    # -- let in, and turned away
    await house.show("door-1", lambda: house.pulses() == [1, 0, 0, 0])
    await house.show("door-4", lambda: house.pulses() == [1, 0, 0, 1])
    house.doors["door-1"].say(f"show {STRANGER}")
    await until(lambda: house.denials("door-1") == 1)
    await page("/doors/door-1")
    timeline = phone.locator(".timeline li")
    await expect(timeline.first).to_contain_text("avvist ved lesaren")
    await expect(timeline.nth(1)).to_contain_text("Kari Nordmann")
    await pictured("02-timeline")

    # -- a night without the hub
    assert hub.broker is not None
    pid = int((hub.settings.data / "broker" / "mosquitto.pid").read_text())
    with stopped(pid):
        house.doors["door-2"].say(f"show {CARD}")
        await until(lambda: house.pulses() == [1, 1, 0, 1])
        house.doors["door-2"].say(f"show {STRANGER}")
        await until(lambda: house.denials("door-2") == 1)
    await page("/doors/door-2")
    await expect(phone.locator(".timeline")).to_contain_text("avgjort av døra aleine", timeout=15_000)
    await pictured("03-after-the-night")

    # -- held open, until it ends by itself
    assert await locks(hub).locks.send("door-3", Order("hold_open", hold_seconds=3), "vaktmeister", "varer") == "done"
    await page("/doors")
    third = phone.locator("#door-door-3")
    await expect(third).to_have_attribute("data-mode", "held_open")
    await expect(third).to_contain_text("halden open til")
    await pictured("04-held-open")
    await expect(third).to_have_attribute("data-mode", "schedule", timeout=10_000)
    await expect(third).to_have_attribute("data-lock", "locked")
    assert house.doors["door-3"].pulses() == 0

    # -- shut down; the way out is free
    phone.on("dialog", lambda dialog: dialog.accept())
    await phone.locator("#why").fill("øving")
    await phone.get_by_role("button", name="Sperr", exact=True).click()
    await expect(phone.locator(".lockdown")).to_contain_text("Heile huset er sperra")
    await until(lambda: all(locks(hub).states.of(one).lockdown for one in NAMES))
    house.doors["door-1"].say(f"show {CARD}")
    await until(lambda: house.denials("door-1") == 2)
    house.doors["door-1"].say("exit_button")
    await expect(phone.locator(".reports")).to_contain_text("utgangsknapp")
    assert house.pulses() == [1, 1, 0, 1]
    await pictured("05-shut-down")
    await phone.locator(".lockdown input[name=reason]").fill("øvinga er over")
    await phone.get_by_role("button", name="Opphev sperringa").click()
    await expect(phone.locator(".lockdown")).to_have_count(0)
    await until(lambda: not any(locks(hub).states.of(one).lockdown for one in NAMES))

    # -- a power cut in the middle of a pulse
    await page("/doors")
    first = phone.locator("#door-door-1")
    await expect(first).to_have_attribute("data-lock", "locked")
    before = house.doors["door-1"].pulses()
    await first.get_by_role("button").click()
    await until(lambda: house.doors["door-1"].pulses() == before + 1)
    await house.doors["door-1"].stop(signal.SIGKILL)
    await expect(first).to_contain_text("ikkje kontakt", timeout=10_000)
    await pictured("06-power-cut")
    await house.start("door-1")
    await expect(first).to_have_attribute("data-lock", "locked", timeout=15_000)
    assert house.doors["door-1"].pulses() == before + 1  # a start moves no relay

    # -- the card is lost
    await page("/keys")
    began, before_loss = time.monotonic(), versions(hub)
    await phone.get_by_role("button", name="Mista: Kari Nordmann").click()
    await expect(phone.locator("table.keys")).not_to_contain_text("Kari Nordmann")
    await have_the_newest_list(hub, before_loss)
    assert time.monotonic() - began < 5
    pulses, denials = house.pulses(), {name: house.denials(name) for name in NAMES}
    with stopped(pid):  # the hub is not asked: it is gone from the lists
        for name in NAMES:
            await house.show(name, lambda name=name: house.denials(name) > denials[name])
    assert house.pulses() == pulses
    await page("/doors")
    await pictured("07-the-end")
