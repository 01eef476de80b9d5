"""Directory entries as employees, and the interface of all sources."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from devices.contract.payload import clean
from hub.plugin import PersonIds
from hub.plugin.hooks import Role
from plugins.directory.config import DisabledWhen, Settings
from plugins.directory.models import Employee, folded

MAX_NAMED = 3
MAX_DN = 400
MAX_ADDRESS = 200

Entry = Mapping[str, list[str]]


class DirectoryError(Exception):
    """The directory cannot be read; the text gives the directory's own reason."""


class Source(Protocol):
    """Where people come from. Both methods block and raise DirectoryError."""

    referrals: tuple[str, ...]
    """Referrals of the last reading, which were not followed."""

    def entries(self) -> Iterator[Entry]:
        """All entries, as attribute name in lower case → values."""

    def roles(self, name: str, password: str) -> frozenset[Role] | None:
        """The roles after checking the password; None when it is wrong, or there is no such person."""

    def roles_now(self, name: str) -> frozenset[Role] | None:
        """The current roles, without a password: none for disabled or removed people; None: without logins."""


def employee_of(entry: Entry, settings: Settings, ids: PersonIds) -> Employee | None:
    """None for a disabled account, and for one without id or name."""
    names = settings.attributes
    if is_disabled(entry, settings.disabled_when):
        return None
    key, name = first_value(entry, names.id), first_value(entry, names.name)
    if not key or not name:
        return None
    return Employee(
        id=ids.of(key),
        name=name[:200],
        unit=(first_value(entry, names.unit) or "")[:200],
        title=(first_value(entry, names.title) or "")[:300],
        mail=first_value(entry, names.mail),
        phone=first_value(entry, names.phone),
        mobile=first_value(entry, names.mobile),
        tasks=tuple(entry.get(names.tasks.lower(), [])),
        groups=tuple(sorted(filter(None, map(_group_dn, entry.get(names.groups.lower(), []))))),
        words=folded(name),
    )


def _group_dn(dn: str) -> str:
    """`CN=Drift, OU=Grupper` → CN=Drift,OU=Grupper: the whole of it, as OUs may have groups of one name.

    Empty for what is no DN.
    """
    from ldap3.core.exceptions import LDAPException  # noqa: PLC0415 (6 MB)
    from ldap3.utils.dn import parse_dn  # noqa: PLC0415

    try:
        return ",".join(f"{kind}={value}" for kind, value, _ in parse_dn(dn, strip=True))[:MAX_DN]
    except LDAPException:
        return ""


def is_disabled(entry: Entry, rule: DisabledWhen) -> bool:
    values = entry.get(rule.attribute.lower(), [])
    if rule.bit is not None:
        return any(value.isdecimal() and int(value) & rule.bit for value in values)
    return rule.equals is not None and any(value.casefold() == rule.equals.casefold() for value in values)


def referral_notice(addresses: Sequence[str]) -> str:
    """A sentence for IT that names the referrals."""
    named = ", ".join(str(clean(address))[:MAX_ADDRESS] for address in addresses[:MAX_NAMED])
    more = f" and {len(addresses) - MAX_NAMED} more" if len(addresses) > MAX_NAMED else ""
    return f"the directory refers to {named}{more}. Referrals are not followed, so nobody was read from there"


def text_of(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def first_value(entry: Entry, attribute: str) -> str | None:
    """The first value; None when there is none, or it is blank."""
    values = entry.get(attribute.lower(), [])
    return values[0].strip() or None if values else None
