"""A notice with the screens that show it."""

from datetime import datetime

from devices.contract import screen
from devices.contract.payload import Id, new_id


class ScreenNotice(screen.Notice):
    screens: list[Id] | None = None
    """None: all, including future ones."""

    def is_for(self, screen_id: str) -> bool:
        return self.screens is None or screen_id in self.screens

    def is_on(self, at: datetime) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)

    def as_sent(self) -> screen.Notice:
        return screen.Notice.model_validate(self.model_dump(exclude={"screens"}))


def make_notice(
    severity: str,
    title: dict[str, str],
    text: dict[str, str],
    until: datetime | None = None,
    *,
    since: datetime | None = None,
    screens: list[str] | None = None,
    notice_id: str | None = None,
) -> ScreenNotice:
    """A notice in those languages that have a text. Raises pydantic.ValidationError."""
    return ScreenNotice.model_validate(
        {
            "id": notice_id or new_id(),
            "severity": severity,
            "title": {language: words for language, words in title.items() if words},
            "text": {language: words for language, words in text.items() if words},
            "since": since,
            "until": until,
            "screens": screens,
        }
    )
