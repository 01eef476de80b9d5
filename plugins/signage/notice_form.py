"""The form for a notice: its fields, and parsing them."""

from collections.abc import Collection
from datetime import UTC, datetime, tzinfo
from typing import Any

from multidict import MultiDict

from devices.contract.payload import clean
from hub.plugin import N_, MistakeError, now
from hub.plugin.api import FIRST_YEAR, LAST_YEAR
from hub.plugin.settings import SiteSettings
from plugins.signage.models import ScreenNotice, make_notice

SEVERITIES = ("info", "warning", "danger")
MAX_TITLE, MAX_TEXT = 80, 400
LOCAL = "%Y-%m-%dT%H:%M"


def form_fields(notice: ScreenNotice | None, site: SiteSettings) -> MultiDict[str]:
    """The fields of the form, of a notice or empty. Times by the site's clock, as browsers write them."""
    fields = MultiDict(
        severity=notice.severity if notice else "info",
        since=_local(notice.since if notice else None, site.zone),
        until=_local(notice.until if notice else None, site.zone),
        where="all" if notice is None or notice.screens is None else "chosen",
    )
    for language in site.languages:
        fields[f"title_{language}"] = notice.title.get(language, "") if notice else ""
        fields[f"text_{language}"] = notice.text.get(language, "") if notice else ""
    fields.extend(("screen", name) for name in (notice.screens or [] if notice else []))
    return fields


def parse_notice(
    sent: Any, site: SiteSettings, screens: Collection[str], was: ScreenNotice | None = None
) -> ScreenNotice:
    """Parse a form. `was`: the notice that it changes. Raises MistakeError."""
    titles = _translated(sent, "title", MAX_TITLE, was.title if was else {}, site)
    texts = _translated(sent, "text", MAX_TEXT, was.text if was else {}, site)
    if not titles:
        raise MistakeError(N_("Write a title in one language at least."))
    if not texts.keys() <= titles.keys():
        raise MistakeError(N_("Write a title in each language in which there is a text."))
    since, until = _moment(str(sent["since"]), site.zone), _moment(str(sent["until"]), site.zone)
    if until is not None and until <= max(now(), since or now()):
        raise MistakeError(N_("The notice would be over before anybody sees it: look at “Until”."))
    chosen = None
    if sent["where"] == "chosen":
        chosen = [name for name in dict.fromkeys(sent.getall("screen", [])) if name in screens]
        if not chosen:
            raise MistakeError(N_("Choose a screen, or all screens."))
    return make_notice(
        str(sent["severity"]), titles, texts, until, since=since, screens=chosen, notice_id=was.id if was else None
    )


def _translated(sent: Any, field: str, most: int, was: dict[str, str], site: SiteSettings) -> dict[str, str]:
    """By language, those of the site first; texts in other languages, written by other programs, stay."""
    typed = {language: str(clean(str(sent[f"{field}_{language}"])))[:most] for language in site.languages}
    others = {language: words for language, words in was.items() if language not in typed}
    return {language: words for language, words in {**typed, **others}.items() if words}


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """Parse a browser's local date and time, by the site's clock. Raises MistakeError."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise MistakeError(N_("“%(text)s” is no date and time."), text=text[:40]) from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise MistakeError(N_("“%(text)s” is no date and time."), text=text[:40])
    return found.replace(tzinfo=zone).astimezone(UTC)


def _local(at: datetime | None, zone: tzinfo) -> str:
    return "" if at is None else at.astimezone(zone).strftime(LOCAL)
