"""How long a door is opened, who may command doors, and who gets alarms."""

from datetime import time
from typing import Literal

from pydantic import Field, model_validator

from devices.contract.door import MAX_PULSE_MS
from hub.plugin import N_, MistakeError, PluginSettings
from hub.plugin.hooks import Role
from hub.plugin.settings import MailAddress, TimeOfDay

Permitted = Literal["pulse", "hold_open", "lock", "lockdown"]
"""Commands that can be permitted; `lock` and `hold_open` include returning to the schedule."""


class Permission(PluginSettings):
    """One role, the commands it may send, and in which zones."""

    role: Role = Field(description=N_("who has it may tell doors this"))
    verbs: frozenset[Permitted] = Field(min_length=1, description=N_("pulse, hold_open, lock, lockdown"))
    zones: frozenset[str] = Field(default=frozenset(), description=N_("only there; none: everywhere"))


class QuietHours(PluginSettings):
    """Warnings wait until the end of the quiet hours; grave alarms never do."""

    start: TimeOfDay = Field(default=time(22), description=N_("from this time of day, such as 22:00"))
    end: TimeOfDay = Field(default=time(6), description=N_("until this time of day"))

    @model_validator(mode="after")
    def _is_clear(self) -> "QuietHours":
        if self.start == self.end:
            raise MistakeError(N_("quiet hours begin when they end; leave them out if it is never quiet"))
        return self

    def are(self, local: time) -> bool:
        """Whether it is quiet at this local time; over midnight when `end` is not after `start`."""
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


EVERYTHING = Permission(role="caretaker", verbs=frozenset({"pulse", "hold_open", "lock", "lockdown"}))


class Settings(PluginSettings):
    pulse_seconds: float = Field(
        default=4, gt=0, le=MAX_PULSE_MS / 1000, description=N_("how long a door stays unlocked")
    )
    may: tuple[Permission, ...] = Field(
        default=(EVERYTHING, Permission(role="front_line", verbs=frozenset({"pulse"}))),
        description=N_("which role may tell doors what"),
    )
    may_see_passages: frozenset[Role] = Field(
        default=frozenset({"caretaker"}), description=N_("roles that see who passed, on the page of a door")
    )
    may_search_people: frozenset[Role] = Field(
        default=frozenset({"caretaker", "it"}),
        min_length=2,
        description=N_("who searches passages by person has all of these roles"),
    )
    alarms_to: tuple[MailAddress, ...] = Field(default=(), description=N_("mail addresses that alarms go to"))
    quiet_hours: QuietHours | None = Field(
        default_factory=QuietHours, description=N_("when warnings wait; none: they never do")
    )
    forgive_at: TimeOfDay = Field(
        default=time(4), description=N_("when anti-passback forgets who is inside, such as 04:00, each day")
    )
    commands_per_minute: int = Field(default=20, ge=1, description=N_("for each door; a stolen session opens no more"))
    keep_days: float = Field(default=90, gt=0, le=90, description=N_("who opened what, and what doors reported"))
