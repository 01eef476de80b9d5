"""What stands on a screen: the programme and its notices."""

from datetime import timedelta

from hub.hookspecs import held_data
from hub.hub import Hub
from hub.store import now
from plugins.signage.service import Signage, make_notice


def signage(hub: Hub) -> Signage:
    return hub.host.plugins["signage"].instance.signage


async def test_a_notice_hangs_until_it_is_taken_down_or_over(hub: Hub) -> None:
    stays = make_notice("info", {"nn": "Ope hus"}, {"nn": "Velkomen"}, None)
    over = make_notice("warning", {"nn": "I går"}, {}, now() - timedelta(minutes=1))
    for one in (stays, over):
        await signage(hub).put_up(one, "skranke")
    programme = await signage(hub).programme()
    assert [one.id for one in programme.notices] == [stays.id]
    assert [one.count for one in await hub.hooks.one("signage", held_data) or []] == [2]
    await signage(hub).take_down(stays.id, "skranke")
    after = await signage(hub).programme()
    assert after.notices == []
    assert after.revision != programme.revision
