"""Where people come from: a directory server (ldap.py) or an LDIF file. Blocking; the service calls it in a thread."""

from collections.abc import Iterator

import ldif

from hub.plugin.hooks import Role
from plugins.directory.config import Ldif, Settings
from plugins.directory.entries import DirectoryError, Entry, Source, text_of


def source_for(settings: Settings) -> Source:
    if isinstance(settings.source, Ldif):
        return LdifSource(settings.source)
    from plugins.directory.ldap import LdapSource  # noqa: PLC0415 (6 MB)

    return LdapSource(settings.source, settings.attributes, settings.disabled_when)


class LdifSource:
    def __init__(self, settings: Ldif) -> None:
        self.referrals: tuple[str, ...] = ()
        self._settings = settings

    def entries(self) -> Iterator[Entry]:
        wanted = self._settings.object_class.casefold()
        try:
            with self._settings.file.open("rb") as file:
                for _, record in ldif.LDIFParser(file).parse():
                    entry = {name.lower(): [text_of(value) for value in values] for name, values in record.items()}
                    if wanted in (value.casefold() for value in entry.get("objectclass", [])):
                        yield entry
        except (OSError, ValueError) as error:
            raise DirectoryError(f"{self._settings.file}: {error}") from error

    def roles(self, name: str, password: str) -> frozenset[Role] | None:
        """A file checks no passwords."""
        del name, password
        return None

    def roles_now(self, name: str) -> frozenset[Role] | None:
        del name
        return None
