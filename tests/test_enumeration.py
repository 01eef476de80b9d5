"""Nobody lists the employees from the kiosks: going through names is slow at all of them together, and is noticed."""

from pathlib import Path
from string import ascii_lowercase
from typing import Any

from hub.hooks.specifications import Health
from hub.hub import Hub
from plugins.checkin.enumeration import EnumerationGuard
from plugins.directory.contract import find_hosts
from tests.api_client import actions, browser
from tests.conftest import running_hub, until_async
from tests.kiosk_client import KioskClient

CANARY = "Qvintus Zylander"


def test_all_kiosks_have_one_limit() -> None:
    clock = [0.0]
    walk = EnumerationGuard(8, lambda: clock[0])
    for number in range(8):
        assert walk.wait_seconds(f"na{number}e", f"kiosk-{number % 2}") == 0
    assert walk.wait_seconds("ola", "kiosk-9") > 0
    assert walk.suspected() == ["kiosk-0", "kiosk-1"]
    clock[0] = 600
    assert walk.wait_seconds("ola", "kiosk-9") == 0
    assert walk.suspected() == []


def test_a_visitor_who_types_on_is_not_slowed_down() -> None:
    walk = EnumerationGuard(1, lambda: 0.0)
    for text in ("kari", "kari n", "Kari No", "k-a-r-i"):
        assert walk.wait_seconds(text, "kiosk-1") == 0
    assert walk.wait_seconds("karl", "kiosk-1") > 0


def test_a_walk_through_the_alphabet_takes_months() -> None:
    """All beginnings of three letters, as fast as a hundred kiosks can."""
    clock, answered = [0.0], 0
    walk = EnumerationGuard(40, lambda: clock[0])
    beginnings = [a + b + c for a in ascii_lowercase for b in ascii_lowercase for c in ascii_lowercase]
    for beginning in beginnings:
        clock[0] += 0.2
        answered += walk.wait_seconds(beginning, f"kiosk-{hash(beginning) % 100}") == 0
    assert answered < 40 + clock[0] * 40 / 600 + 1


async def health(hub: Hub, plugin: str) -> Health:
    found: Health = await hub.host.plugins[plugin].instance.health()
    return found


async def test_the_canary_tells_and_is_never_shown(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["plugins"]["directory"]["canary"] = CANARY
    async with running_hub(settings, tmp_path) as hub, browser(hub, "front_line") as desk:
        await until_async(lambda: is_well(hub))
        enrolment = await hub.enroller.enrol("kiosk-7", "kiosk", "Nettbrettet ved heisen", "", "test")
        async with KioskClient(enrolment).connected() as kiosk:
            assert (await kiosk.search("kari")).hosts
            assert await hub.hooks.all(find_hosts, text="qvi", limit=5, device=None) == [[]], "an employee may"
            assert (await health(hub, "directory")).problem is None
            for text in ("qvi", "zyl", "Qvintus Zylander"):
                assert (await kiosk.search(text)).hosts == []
        assert "kiosk-7" in str((await health(hub, "directory")).problem)
        assert (await actions(hub)).count(("kiosk-7", "canary.found")) == 1
        async with desk.get(f"{hub.settings.web.address}/people") as page:
            text = await page.text()
        assert "Nettbrettet ved heisen" in text
        assert "Qvintus" not in text


async def is_well(hub: Hub) -> bool:
    return (await health(hub, "directory")).problem is None


async def test_a_canary_like_somebody_is_told(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["plugins"]["directory"]["canary"] = "Qvintus Karlsson"
    async with running_hub(settings, tmp_path) as hub:

        async def is_told() -> bool:  # the note comes a moment after the people
            return "choose another" in str((await health(hub, "directory")).problem)

        await until_async(is_told)


async def test_two_tablets_walk_no_faster_than_one(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["plugins"]["checkin"]["beginnings_in_ten_minutes"] = 6
    async with running_hub(settings, tmp_path) as hub, browser(hub, "front_line") as desk:
        enrolments = [await hub.enroller.enrol(f"kiosk-{n}", "kiosk", f"Nettbrett {n}", "", "test") for n in range(2)]
        async with KioskClient(enrolments[0]).connected() as one, KioskClient(enrolments[1]).connected() as other:
            for letter in "abc":
                assert (await one.search(f"{letter}na")).wait_seconds == 0
                assert (await other.search(f"{letter}le")).wait_seconds == 0
            for kiosk in (one, other):
                assert (await kiosk.search("dna")).wait_seconds > 0
        assert "kiosk-0, kiosk-1" in str((await health(hub, "checkin")).problem)
        async with desk.get(f"{hub.settings.web.address}/visits") as page:
            assert "Nettbrett 0" in await page.text()
