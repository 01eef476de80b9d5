"""Where people come from, and what their attributes are called there."""

import re
from functools import cached_property, lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hub.plugin import N_, MistakeError, PluginSettings
from hub.plugin.hooks import Role
from hub.plugin.settings import ConfigFile


@lru_cache(maxsize=4096)
def folded_unit(unit: str) -> str:
    """A unit's name without differences in case and spacing."""
    return " ".join(unit.casefold().split())


def _ldap_url(url: str) -> str:
    if not re.fullmatch(r"ldaps?://[^/\s]+", url):
        raise MistakeError(
            N_("is no address of a directory server; %(example)s is one"), example="ldaps://dc1.example:636"
        )
    return url


class Attributes(PluginSettings):
    """The directory's names for what we need. Active Directory: id objectGUID or employeeID, unit department."""

    id: str = Field(default="uid", description=N_("what never changes of a person"))
    login: str = Field(default="uid", description=N_("what they log in with"))
    name: str = Field(default="cn", description=N_("the name that visitors look for"))
    unit: str = Field(default="ou", description=N_("where they work"))
    title: str = Field(default="title", description=N_("what they are"))
    mail: str = Field(default="mail", description=N_("where messages go"))
    phone: str = Field(default="telephoneNumber", description=N_("the number for the desk"))
    mobile: str = Field(default="mobile", description=N_("the number for the desk when they are out"))
    tasks: str = Field(default="businessCategory", description=N_("what they are responsible for"))
    groups: str = Field(default="memberOf", description=N_("the groups they are in, as DNs; for rules about doors"))


class DisabledWhen(PluginSettings):
    """An account that is left out: an attribute has a value, or a bit (Active Directory: userAccountControl, bit 2)."""

    attribute: str = Field(default="employeeType", description=N_("the attribute that tells"))
    equals: str | None = Field(default="disabled", description=N_("the value that means: left out"))
    bit: int | None = Field(default=None, ge=1, description=N_("or the bit that means it"))


class LoginSettings(PluginSettings):
    """Which group gives which role on the console; members log in with their directory password."""

    groups: dict[Role, str] = Field(default_factory=dict, description=N_("role → the group's DN"))


class Ldap(PluginSettings):
    kind: Literal["ldap"] = Field(description=N_("a directory server"))
    url: Annotated[str, AfterValidator(_ldap_url)] = Field(
        description=N_("ldaps://dc1.example:636, or ldap:// which uses StartTLS")
    )
    ca_file: ConfigFile | None = Field(
        default=None, description=N_("the authority of its certificate; none: the system's")
    )
    bind_dn: str = Field(description=N_("the account that reads"))
    secret_file: ConfigFile = Field(description=N_("the file with its password"))
    base: str = Field(description=N_("below which all people stand"))
    object_class: str = Field(default="inetOrgPerson", description=N_("what people are; in Active Directory: user"))
    page_size: int = Field(default=500, ge=1, le=1000, description=N_("how many people are asked for at once"))
    timeout_seconds: int = Field(default=10, ge=1, description=N_("how long an answer may take"))
    login: LoginSettings = Field(
        default=LoginSettings(), description=N_("who may log in"), json_schema_extra={"file_only": True}
    )


class Ldif(PluginSettings):
    kind: Literal["ldif"] = Field(description=N_("a file"))
    file: ConfigFile = Field(description=N_("the LDIF file"))
    object_class: str = Field(default="inetOrgPerson", description=N_("what people are there"))


class Settings(PluginSettings):
    source: Annotated[Ldap | Ldif, Field(discriminator="kind", description=N_("where people come from"))]
    every_minutes: float = Field(default=10, gt=0, description=N_("how often the directory is read"))
    attributes: Attributes = Field(default=Attributes(), description=N_("what attributes are called there"))
    disabled_when: DisabledWhen = Field(default=DisabledWhen(), description=N_("which accounts are left out"))
    protected_units: frozenset[str] = Field(
        default=frozenset(), description=N_("never found at the kiosk: health station, NAV, child welfare … (D7)")
    )
    no_visits: frozenset[str] = Field(default=frozenset(), description=N_("ids of people who take no visits"))
    canary: str = Field(
        default="",
        max_length=80,
        description=N_("a made-up name, unlike all others: whoever finds it at a kiosk goes through names"),
    )
    board_units: list[str] = Field(default_factory=list, description=N_("whose people stand on the screens, in or out"))
    most_removed: float = Field(
        default=0.2, ge=0, le=1, description=N_("a reading that lost a larger part of the people is not believed")
    )

    def is_protected(self, unit: str) -> bool:
        """Ignoring case and spacing."""
        return folded_unit(unit) in self._folded_protected

    @cached_property
    def _folded_protected(self) -> frozenset[str]:
        return frozenset(folded_unit(unit) for unit in self.protected_units)
