"""Translations: gettext catalogues of the kernel and of each plugin. Messages are English in the code."""

import gettext
import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

DOMAIN = "messages"


@cache
def catalogue(folder: Path, language: str) -> gettext.NullTranslations:
    """`folder/locale/<language>/LC_MESSAGES/messages.po`, compiled in memory; an empty one where there is none."""
    path = folder / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not path.is_file():
        return gettext.NullTranslations()
    with path.open("rb") as file:
        messages = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


class Translator:
    """One owner's words, then the kernel's, then English."""

    def __init__(self, folders: Iterable[Path], languages: tuple[str, ...]) -> None:
        self._folders = list(folders)
        self.languages = languages

    def best(self, wanted: Iterable[str]) -> str:
        """The first wanted language that the site has; the site's first otherwise."""
        return next((one for one in wanted if one in self.languages), self.languages[0])

    def translations(self, language: str) -> gettext.NullTranslations:
        chain = _Chain()
        for folder in self._folders:
            chain.add(catalogue(folder, language))
        return chain

    def text(self, language: str, message: str, **values: object) -> str:
        found = self.translations(language).gettext(message)
        return found % values if values else found


class _Chain(gettext.NullTranslations):
    def __init__(self) -> None:
        super().__init__()
        self._links: list[gettext.NullTranslations] = []

    def add(self, link: gettext.NullTranslations) -> None:
        self._links.append(link)

    def gettext(self, message: str) -> str:
        for link in self._links:
            if (found := link.gettext(message)) != message:
                return found
        return message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        plain = msgid1 if n == 1 else msgid2
        for link in self._links:
            if (found := link.ngettext(msgid1, msgid2, n)) != plain:
                return found
        return plain
