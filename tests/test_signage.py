"""What stands on a screen: the programme and its notices."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.hooks.specifications import held_data
from hub.hub import Hub
from hub.store.store import now
from plugins.signage.models import make_notice
from plugins.signage.service import Signage
from plugins.signage.tables import notice
from tests.api_client import browser
from tests.conftest import until_async


def signage(hub: Hub) -> Signage:
    return hub.host.plugins["signage"].instance.signage


async def test_a_notice_hangs_until_it_is_taken_down_or_over(hub: Hub) -> None:
    stays = make_notice("info", {"nn": "Ope hus"}, {"nn": "Velkomen"}, None)
    over = make_notice("warning", {"nn": "I går"}, {}, now() - timedelta(minutes=1))
    for one in (stays, over):
        await signage(hub).put_up(one, "skranke")
    programme = await signage(hub).programme()
    assert [one.id for one in programme.notices] == [stays.id]
    await until_left(hub, stays.id)  # with it goes who had put it up
    assert [one.count for one in await hub.hooks.one("signage", held_data) or []] == [1]
    await signage(hub).take_down(stays.id, "skranke")
    after = await signage(hub).programme()
    assert after.notices == []
    assert after.revision != programme.revision


async def until_left(hub: Hub, *ids: str) -> None:
    """Until these notices are stored, and no others."""

    async def is_so() -> bool:
        found = await hub.store.read(lambda connection: connection.execute(select(notice.c.id)).scalars().all())
        return set(found) == set(ids)

    await until_async(is_so)


async def test_the_end_of_a_notice_can_be_moved_and_taken_back(hub: Hub) -> None:
    soon = now() + timedelta(milliseconds=300)
    moved, endless, ends = (make_notice("info", {"nn": name}, {}, soon) for name in ("Flytta", "Utan", "Sluttar"))
    for one in (moved, endless, ends):
        await signage(hub).put_up(one, "skranke")
    assert await signage(hub).change(moved.model_copy(update={"until": now() + timedelta(hours=1)}), "skranke")
    assert await signage(hub).change(endless.model_copy(update={"until": None}), "skranke")
    await until_left(hub, moved.id, endless.id)


@pytest.fixture
def written() -> dict[str, str]:
    """The page's form as a browser sends it when the desk fills in one title."""
    languages = ("nn", "nb", "en")
    fields = {f"{part}_{one}": "" for part in ("title", "text") for one in languages}
    return fields | {"title_nn": "Ope hus", "severity": "info", "since": "", "until": "", "where": "all"}


async def test_a_notice_goes_to_the_screens_that_were_chosen(hub: Hub, written: dict[str, str]) -> None:
    for name in ("screen-1", "screen-2"):
        await hub.enroller.enrol(name, "screen", name, "", "test")
    async with browser(hub, "front_line") as desk:
        page = f"{hub.settings.web.address}/screens/notices"
        form = written | {"where": "chosen", "screen": "screen-2"}
        assert (await desk.post(page, data=form, allow_redirects=False)).status == 303
        for wrong in ({"where": "chosen"}, {"where": "chosen", "screen": "kiosk-1"}):
            refused = await desk.post(page, data=written | wrong, allow_redirects=False)
            assert (refused.status, "Vel ein storskjerm" in await refused.text()) == (422, True)
    here, there = [await signage(hub).programme(name) for name in ("screen-1", "screen-2")]
    assert (here.notices, [one.title for one in there.notices]) == ([], [{"nn": "Ope hus"}])
    assert here.revision != there.revision
    assert "screens" not in there.model_dump()["notices"][0]


async def test_a_notice_is_dated_and_changed(hub: Hub, written: dict[str, str]) -> None:
    site = hub.settings.site.zone
    soon, later = (f"{now().astimezone(site) + timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (1, 2))
    async with browser(hub, "front_line") as desk:
        page = f"{hub.settings.web.address}/screens/notices"
        backwards = await desk.post(page, data=written | {"since": later, "until": soon}, allow_redirects=False)
        assert (backwards.status, "Ope hus" in await backwards.text()) == (422, True)  # what was typed stays
        await desk.post(page, data=written | {"since": soon, "until": later}, allow_redirects=False)
        [one] = await signage(hub).notices()
        assert not one.is_on(now())
        assert one.is_on(now() + timedelta(minutes=90))
        shown = await (await desk.get(f"{page}/{one.id}")).text()
        assert f'value="{soon}"' in shown
        form = written | {"title_nn": "", "title_en": "Open house", "text_en": "Welcome", "severity": "danger"}
        assert (await desk.post(f"{page}/{one.id}", data=form, allow_redirects=False)).status == 303
        [changed] = await signage(hub).notices()
        assert (changed.id, changed.title, changed.since) == (one.id, {"en": "Open house"}, None)
        loose = await desk.post(f"{page}/{one.id}", data=form | {"text_nn": "Velkomen"}, allow_redirects=False)
        assert (loose.status, "Skriv ei overskrift" in await loose.text()) == (422, True)
        await signage(hub).take_down(one.id, "skranke")
        assert (await desk.post(f"{page}/{one.id}", data=form, allow_redirects=False)).status == 404
