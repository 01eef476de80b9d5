"""Screens as Home Assistant entities: their state, and switching them on and off."""

from devices.contract import screen
from hub.plugin import Context, now
from hub.plugin.hooks import MirroredDevice, Role
from plugins.signage.service import Signage

MAY_SWITCH: frozenset[Role] = frozenset({"caretaker", "front_line", "it"})


async def mirrored_screens(context: Context, signage: Signage) -> list[MirroredDevice]:
    """A power switch and the notice that plays, in the site's first language, for each screen."""
    notices = [notice for notice in await signage.notices() if notice.is_on(now())]

    def plays(device: str) -> str | None:
        titles = next((notice.title for notice in notices if notice.is_for(device)), {})
        return titles.get(context.site.languages[0]) or next(iter(titles.values()), None)

    return [
        MirroredDevice(
            device.id,
            {
                "power": {"platform": "switch", "name": "Screen", "icon": "mdi:monitor"},
                "plays": {"platform": "sensor", "name": "Plays", "icon": "mdi:bulletin-board"},
            },
            {
                "power": "OFF" if device.id in signage.off else "ON",
                "plays": None if device.id in signage.off else plays(device.id) or "opening hours and who is in",
            },
            {"power": MAY_SWITCH},
        )
        for device in context.devices.of_kind(screen.KIND)
    ]


async def order_screen(
    context: Context, signage: Signage, device: str, key: str, order: str, actor: str
) -> bool | None:
    known = context.devices.get(device)
    if key != "power" or known is None or known.kind != screen.KIND:
        return None
    if order not in ("ON", "OFF"):
        return False
    await signage.switch(device, is_on=order == "ON", actor=actor)
    return True
