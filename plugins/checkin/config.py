"""What the kiosk offers, and how long visits are kept."""

from pydantic import Field

from devices.contract.kiosk import Signpost
from hub.plugin import N_, PluginSettings


class Settings(PluginSettings):
    signposts: list[Signpost] = Field(
        default_factory=list, max_length=12, description=N_("where visitors go by themselves")
    )
    keep_hours: float = Field(
        default=24, gt=0, le=720, description=N_("personal data are deleted this long after a visitor has left")
    )
    day_ends_at_hour: int = Field(
        default=22, ge=0, le=23, description=N_("who has not checked out by then has left, by the site's clock")
    )
    waiting_seconds: int = Field(
        default=300, ge=30, le=3600, description=N_("how long the kiosk's page waits for the host's answer")
    )
    searches_per_minute: int = Field(default=20, ge=1, description=N_("for each kiosk"))
    beginnings_in_ten_minutes: int = Field(
        default=40,
        ge=1,
        description=N_("different beginnings of names, at all kiosks together; so many at once, then as time goes by"),
    )
    visits_per_minute: int = Field(
        default=30, ge=1, description=N_("for each kiosk, and so many at once; the rest waits in its outbox")
    )
    messages_per_host: int = Field(
        default=20, ge=1, description=N_("to one host in ten minutes; the desk tells them of the rest")
    )
    check_outs_per_minute: int = Field(default=10, ge=1, description=N_("for each kiosk; the rest waits in its outbox"))
