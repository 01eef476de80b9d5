"""Slides that other plugins show on the screens."""

from dataclasses import dataclass, field
from datetime import datetime

from hub.plugin.hooks import question


@dataclass(frozen=True)
class Slide:
    """Something for the screens, for everybody to read: never about a visitor, never why somebody is out.

    Title and text by language; `until` takes it down by itself.
    """

    id: str
    title: dict[str, str]
    text: dict[str, str] = field(default_factory=dict)
    until: datetime | None = None


@question(within_seconds=2)
async def slides() -> list[Slide]:
    """What this plugin wants to have on the screens now."""
    raise NotImplementedError


@question(within_seconds=5)
async def slides_changed() -> None:
    """Somebody has other slides than before: whoever shows them asks `slides`."""
    raise NotImplementedError
