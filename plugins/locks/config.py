"""How long a door is opened, and by whom."""

from pydantic import Field

from devices.contract.door import MOST_PULSE_MS
from hub.hookspecs import Role
from hub.plugin import N_, PluginSettings


class Settings(PluginSettings):
    pulse_seconds: float = Field(
        default=4, gt=0, le=MOST_PULSE_MS / 1000, description=N_("how long a door stays unlocked")
    )
    may_open: frozenset[Role] = Field(default=frozenset({"caretaker", "front_line"}), description=N_("roles"))
    commands_per_minute: int = Field(default=20, ge=1, description=N_("for each door; a stolen session opens no more"))
    keep_days: float = Field(default=90, gt=0, le=90, description=N_("who opened what, and what doors reported"))
