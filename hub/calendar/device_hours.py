"""The site's hours for devices, which display "open now" by themselves, and when to send them again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from zoneinfo import ZoneInfo

from devices.contract.opening import MAX_OTHER_DAYS, OpeningDay, OtherDay
from hub.calendar.opening import Calendar, names
from hub.configuration.opening_hours import Span
from hub.configuration.settings import SiteSettings
from hub.language.translation import Translator
from hub.store.store import now

CHECK_SECONDS = 60


async def call_daily(zone: ZoneInfo, changed: Callable[[], Awaitable[None]]) -> None:
    """Call `changed` at midnight by the site's clock. Runs until cancelled."""
    day = now().astimezone(zone).date()
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        if (today := now().astimezone(zone).date()) != day:
            day = today
            await changed()


def week_of(calendar: Calendar) -> list[OpeningDay]:
    """Monday to Sunday; empty if no hours are configured."""
    if not calendar.has_hours:
        return []
    return [OpeningDay(weekday=day, spans=_as_texts(spans)) for day, spans in enumerate(calendar.week())]


async def other_days(calendar: Calendar, site: SiteSettings, translator: Translator) -> list[OtherDay]:
    """The days with other hours from today on. In a thread, as holidays may have to be computed."""
    return await asyncio.to_thread(_other_days, calendar, site, translator)


def _other_days(calendar: Calendar, site: SiteSettings, translator: Translator) -> list[OtherDay]:
    def translated(holiday: str | None) -> dict[str, str] | None:
        if holiday is None:
            return None
        return {one: ", ".join(translator.text(one, name) for name in names(holiday)) for one in site.languages}

    days = islice(calendar.other_days(now().astimezone(site.zone).date()), MAX_OTHER_DAYS)
    return [OtherDay(on=one.on, spans=_as_texts(one.spans), name=translated(one.holiday)) for one in days]


def _as_texts(spans: Iterable[Span]) -> list[tuple[str, str]]:
    return [(f"{opens:%H:%M}", f"{closes:%H:%M}") for opens, closes in spans]
