"""Which channels there are."""

from typing import Literal

import apprise
from pydantic import Field, field_validator

from hub.plugin import PluginSettings
from hub.settings import ConfigPath, Port


class Mail(PluginSettings):
    """The municipality's SMTP server; mail goes to each person's own address."""

    host: str
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", description="the address that messages come from")
    user: str | None = None
    secret_file: ConfigPath | None = None


class Settings(PluginSettings):
    mail: Mail | None = None
    webhooks: list[str] = Field(
        default_factory=list,
        description="apprise addresses that every message goes to as well, without the visitor's name; "
        "Teams: workflows://HOST/WORKFLOW/SIGNATURE",
    )
    answer_hours: float = Field(default=12, gt=0, description="how long the link in a message can be used")
    give_up_hours: float = Field(default=12, gt=0, description="how long a message is tried")

    @field_validator("webhooks")
    @classmethod
    def _known(cls, addresses: list[str]) -> list[str]:
        for number, address in enumerate(addresses):
            if not apprise.Apprise().add(address):
                raise ValueError(f"number {number + 1} is no address that apprise knows")
        return addresses
