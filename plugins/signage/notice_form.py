"""The form in which the desk writes a notice: what stands in it, and what was meant."""

from collections.abc import Collection
from datetime import UTC, datetime, tzinfo
from typing import Any

from multidict import MultiDict

from devices.contract.payload import clean
from hub.plugin import N_, now
from hub.plugin.api import FIRST_YEAR, LAST_YEAR
from hub.plugin.settings import SiteSettings
from plugins.signage.models import HungNotice, make_notice

SEVERITIES = ("info", "warning", "danger")
MOST_TITLE, MOST_TEXT = 80, 400
LOCAL = "%Y-%m-%dT%H:%M"


class MistakeError(ValueError):
    """What somebody typed that makes no sense. `message` stands in the catalogue (`N_`), with `values` in it."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message % values if values else message)
        self.message = message
        self.values = values


def shown_fields(one: HungNotice | None, site: SiteSettings) -> MultiDict[str]:
    """What stands in the form: of a notice, or of none yet. Times by the site's clock, as browsers write them."""
    fields = MultiDict(
        severity=one.severity if one else "info",
        since=_local(one.since if one else None, site.zone),
        until=_local(one.until if one else None, site.zone),
        where="all" if one is None or one.screens is None else "chosen",
    )
    for language in site.languages:
        fields[f"title_{language}"] = one.title.get(language, "") if one else ""
        fields[f"text_{language}"] = one.text.get(language, "") if one else ""
    fields.extend(("screen", name) for name in (one.screens or [] if one else []))
    return fields


def notice_in(sent: Any, site: SiteSettings, screens: Collection[str], was: HungNotice | None = None) -> HungNotice:
    """A form that was sent. `was`: the notice that it changes. Raises MistakeError."""
    titles = _translated(sent, "title", MOST_TITLE, was.title if was else {}, site)
    texts = _translated(sent, "text", MOST_TEXT, was.text if was else {}, site)
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
    """By language, those of the site first; what another program wrote in other languages stays."""
    typed = {one: str(clean(str(sent[f"{field}_{one}"])))[:most] for one in site.languages}
    others = {language: words for language, words in was.items() if language not in typed}
    return {language: words for language, words in {**typed, **others}.items() if words}


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """A browser's local date and time, by the site's clock. Raises MistakeError."""
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
