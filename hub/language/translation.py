"""Translations: gettext catalogues of the kernel and of each plugin. Messages are English in the code.

`python -m hub.language.catalogues` finds the messages and checks that the catalogues have them all.
"""

import gettext
import io
from collections.abc import Iterable, Mapping
from copy import copy
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

DOMAIN = "messages"


def N_(message: str) -> str:  # noqa: N802 (gettext's own name for it)
    """Mark a literal as a message that is translated later, where it is shown. Returns it as it is."""
    return message


_read: dict[tuple[Path, str], gettext.NullTranslations] = {}


def catalogue(folder: Path, language: str) -> gettext.NullTranslations:
    """`folder/locale/<language>/LC_MESSAGES/messages.po`, compiled in memory; an empty one where there is none."""
    found = _read.get((folder, language))
    if found is None:
        found = _read[folder, language] = _compiled(folder, language)
    return found


def forget_catalogues(folder: Path) -> None:
    """Those of this folder are read anew: somebody may have edited them."""
    for known in [one for one in list(_read) if one[0] == folder]:  # pages may read others meanwhile
        _read.pop(known, None)


def _compiled(folder: Path, language: str) -> gettext.NullTranslations:
    path = folder / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not path.is_file():
        return gettext.NullTranslations()
    with path.open("rb") as file:
        messages = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def fill(text: str, values: Mapping[str, object]) -> str:
    """The text with its `%(names)s`; as it is when the values do not fit, which must not cost a page."""
    if not values:
        return text
    try:
        return text % values
    except (KeyError, TypeError, ValueError):
        return text


class Translator:
    """One owner's words, then the kernel's, then English."""

    def __init__(self, folders: Iterable[Path], languages: tuple[str, ...]) -> None:
        self._folders = list(folders)
        self.languages = languages

    def best(self, wanted: Iterable[str]) -> str:
        """The first wanted language that the site has; the site's first otherwise."""
        return next((one for one in wanted if one in self.languages), self.languages[0])

    def translations(self, language: str) -> gettext.NullTranslations:
        first, *others = (copy(catalogue(folder, language)) for folder in self._folders)
        for other in others:
            first.add_fallback(other)
        return first

    def text(self, language: str, message: str, **values: object) -> str:
        return fill(self.translations(language).gettext(message), values)
