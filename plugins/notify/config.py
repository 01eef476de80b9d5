"""Which channels there are."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from hub.plugin import N_, MistakeError, PluginSettings
from hub.plugin.settings import ConfigFile, MailAddress, Port


class Mail(PluginSettings):
    """The municipality's SMTP server; mail goes to each person's own address."""

    host: str = Field(description=N_("the mail server's name"))
    port: Port = Field(default=587, description=N_("587 for STARTTLS, 465 for TLS"))
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description=N_("how the way there is protected")
    )
    sender: MailAddress = Field(description=N_("the address that messages come from"))
    user: str | None = Field(default=None, description=N_("the account there; none: it asks for none"))
    secret_file: ConfigFile | None = Field(default=None, description=N_("the file with the account's password"))

    @model_validator(mode="after")
    def _can_log_in(self) -> "Mail":
        if self.user is not None and self.secret_file is None:
            raise MistakeError(N_("names a user, so secret_file must name the file with the password"))
        return self


def _is_one(address: str) -> bool:
    from plugins.notify.webhook import is_one  # noqa: PLC0415 (4 MB, for those who have such addresses)

    return is_one(address)


class OwnWebhook(PluginSettings):
    """A chat that nobody but one employee reads."""

    mail: MailAddress = Field(description=N_("whose it is: their mail address in the directory"))
    address: str = Field(max_length=1000, description=N_("the apprise address of a chat that only they read"))

    @field_validator("address")
    @classmethod
    def _known(cls, address: str) -> str:
        if not _is_one(address):
            raise MistakeError(N_("is no address that apprise knows"))
        return address


class Settings(PluginSettings):
    mail: Mail | None = Field(default=None, description=N_("the way for mails; none: no mails"))
    webhooks: list[str] = Field(
        default_factory=list,
        description=N_(
            "apprise addresses that many read: every message comes too, without name and link; "
            "Teams: workflows://HOST/WORKFLOW/SIGNATURE"
        ),
    )
    own_webhooks: list[OwnWebhook] = Field(
        default_factory=list, description=N_("chats of single employees: all that their mails say, with the link")
    )
    answer_hours: float = Field(default=12, gt=0, description=N_("how long the link in a message can be used"))
    give_up_hours: float = Field(default=12, gt=0, description=N_("how long a message is tried"))

    @field_validator("webhooks")
    @classmethod
    def _known(cls, addresses: list[str]) -> list[str]:
        for number, address in enumerate(addresses):
            if not _is_one(address):
                raise MistakeError(N_("number %(number)s is no address that apprise knows"), number=number + 1)
        return addresses
