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
    """Mark a literal as a message that is translated when it is displayed. Returns it unchanged."""
    return message


_cache: dict[tuple[Path, str], gettext.NullTranslations] = {}


def catalogue(folder: Path, language: str) -> gettext.NullTranslations:
    """`folder/locale/<language>/LC_MESSAGES/messages.po`, compiled in memory; empty if there is none."""
    translations = _cache.get((folder, language))
    if translations is None:
        translations = _cache[folder, language] = _compiled(folder, language)
    return translations


def forget_catalogues(folder: Path) -> None:
    """Read this folder's catalogues again: they may have been edited."""
    for known in [one for one in list(_cache) if one[0] == folder]:  # other threads may add entries
        _cache.pop(known, None)


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
    """Fill values into the text's `%(names)s`; if they do not fit, the text is returned unchanged."""
    if not values:
        return text
    try:
        return text % values
    except (KeyError, TypeError, ValueError):
        return text


class Translator:
    """Translates with a plugin's catalogue, then the kernel's, then falls back to English."""

    def __init__(self, folders: Iterable[Path], languages: tuple[str, ...]) -> None:
        self._folders = list(folders)
        self.languages = languages

    def best(self, wanted: Iterable[str]) -> str:
        """The first of the wanted languages that the site has, else the site's first."""
        return next((one for one in wanted if one in self.languages), self.languages[0])

    def translations(self, language: str) -> gettext.NullTranslations:
        first, *others = (copy(catalogue(folder, language)) for folder in self._folders)
        for other in others:
            first.add_fallback(other)
        return first

    def text(self, language: str, message: str, **values: object) -> str:
        return fill(self.translations(language).gettext(message), values)
