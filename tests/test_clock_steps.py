"""The hub's clock is set an hour back or forward while it runs: nobody is logged out, and no visitor's host goes untold."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from devices.contract.alive import Heartbeat
from hub.accounts.accounts import MAX_IDLE
from hub.devices.absences import Absence
from hub.hooks.specifications import Login
from hub.hub import Hub
from hub.store.store import now
from tests.api_client import browser
from tests.conftest import until
from tests.kiosk_client import KioskClient
from tests.mail_server import MailServer

HOUR = timedelta(hours=1)
Step = Callable[[timedelta], None]


@pytest.fixture
def settings(settings: dict[str, Any], mail_server: MailServer) -> dict[str, Any]:
    settings["plugins"]["notify"] = {"mail": mail_server.settings}
    return settings


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    """Sets the clock on the hub's wall, so far from the right time."""

    def set_clock(by: timedelta) -> None:
        class Set(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + by

        monkeypatch.setattr("hub.store.store.datetime", Set)

    return set_clock


async def began(hub: Hub, name: str) -> str:
    return await hub.accounts.begin(Login(name, frozenset({"front_line"}), "local"))


async def test_a_clock_set_forward_logs_nobody_out(hub: Hub, step: Step) -> None:
    async with browser(hub, "front_line") as desk:
        step(HOUR)
        await began(hub, "another")  # who logs in clears away what is idle
        async with desk.get(f"{hub.settings.web.address}/visits", allow_redirects=False) as page:
            assert page.status == 200
        assert {row.account for row in await hub.accounts.logged_in()} == {"nokon", "another"}


async def test_a_clock_set_back_makes_no_session_longer(hub: Hub, step: Step) -> None:
    token = await began(hub, "kari")
    assert (await hub.accounts.session(token)).is_confirmed  # type: ignore[union-attr]
    step(-HOUR)
    session = await hub.accounts.session(token)
    assert session is not None
    assert not session.is_confirmed, "or doors could be opened for an hour without a password"
    hub.accounts._used_at[session.id] = time.monotonic() - MAX_IDLE.total_seconds() - 1
    assert await hub.accounts.session(token) is None


@pytest.mark.parametrize("by", [HOUR, -HOUR])
async def test_the_host_of_a_visitor_is_told(
    hub: Hub, kiosk: KioskClient, mail_server: MailServer, step: Step, by: timedelta
) -> None:
    """The tablet's latest heartbeat was before the step: its visit looks an hour old, as if it had waited on its disk."""
    kiosk.say("heartbeat", Heartbeat(sent_at=datetime.now(UTC), version="1", uptime_seconds=1))
    await until(lambda: hub.devices.vitals("kiosk-1").heartbeat)
    host = (await kiosk.search("kari")).hosts[0].id
    step(by)
    receipt = await kiosk.register(host)
    assert receipt.host_is_told
    await until(lambda: mail_server.mails)
    visit = await hub.host.plugins["checkin"].instance.visits.get(receipt.of)
    assert visit.timing == "clock"  # told on the tablet's page and at the visit: one of the two clocks is wrong
    offset = hub.devices.vitals("kiosk-1").clock_offset_seconds
    assert offset is not None
    assert abs(offset + by.total_seconds()) < 60


def test_an_absence_lasts_no_less_than_nothing(step: Step) -> None:
    one = Absence(now(), None, "heartbeat", None)
    step(-HOUR)
    assert one.lasted == timedelta()
