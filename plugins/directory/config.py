"""Where people come from, and what their attributes are called there."""

from typing import Annotated, Literal

from pydantic import Field

from hub.hookspecs import Role
from hub.plugin import PluginSettings
from hub.settings import ConfigPath


class Attributes(PluginSettings):
    """The directory's names for what we need. Active Directory: id objectGUID or employeeID, unit department."""

    id: str = "uid"
    login: str = "uid"
    name: str = "cn"
    unit: str = "ou"
    title: str = "title"
    mail: str = "mail"
    phone: str = "telephoneNumber"
    mobile: str = "mobile"
    tasks: str = "businessCategory"


class DisabledWhen(PluginSettings):
    """An account that is left out: an attribute has a value, or a bit (Active Directory: userAccountControl, bit 2)."""

    attribute: str = "employeeType"
    equals: str | None = "disabled"
    bit: int | None = Field(default=None, ge=1)


class LoginSettings(PluginSettings):
    """Which group gives which role on the console; members log in with their directory password."""

    groups: dict[Role, str] = Field(default_factory=dict, description="role → the group's DN")


class Ldap(PluginSettings):
    kind: Literal["ldap"]
    url: str = Field(pattern=r"^ldaps?://[^/]+$", description="ldaps://dc1.example:636, or ldap:// which uses StartTLS")
    ca_file: ConfigPath | None = Field(default=None, description="the authority of its certificate; none: the system's")
    bind_dn: str
    secret_file: ConfigPath
    base: str
    object_class: str = "inetOrgPerson"
    page_size: int = Field(default=500, ge=1, le=1000)
    timeout_seconds: int = Field(default=10, ge=1)
    login: LoginSettings = LoginSettings()


class Ldif(PluginSettings):
    kind: Literal["ldif"]
    file: ConfigPath
    object_class: str = "inetOrgPerson"


class Settings(PluginSettings):
    source: Annotated[Ldap | Ldif, Field(discriminator="kind")]
    every_minutes: float = Field(default=10, gt=0)
    attributes: Attributes = Attributes()
    disabled_when: DisabledWhen = DisabledWhen()
    protected_units: frozenset[str] = Field(
        default=frozenset(), description="never found at the kiosk: health station, NAV, child welfare … (D7)"
    )
    no_visits: frozenset[str] = Field(default=frozenset(), description="ids of people who take no visits")
    board_units: list[str] = Field(default_factory=list, description="whose people stand on the screens, in or out")
    presence_default: Literal["in", "out"] = "out"
    most_removed: float = Field(
        default=0.2, ge=0, le=1, description="a reading that lost a larger part of the people is not believed"
    )
