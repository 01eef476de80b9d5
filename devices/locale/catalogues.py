"""The web apps' words: checks the .po files against the TypeScript and turns them into JSON for the bundles.

    python -m devices.locale.catalogues            check, then write devices/web/catalogues/*.json
    python -m devices.locale.catalogues --missing  print the msgids that a catalogue lacks, ready for a .po

nn, nb and en must be complete, or the build fails and says what is missing; other languages are packs and
fall back to English where they have gaps. A new language is a new folder here and nothing else. Names of
languages, weekdays and months come from CLDR by way of Babel, so nobody has to translate them.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TARGET = ROOT / "devices" / "web" / "catalogues"
SOURCES = ("devices/kiosk", "devices/player", "devices/web")
KEYWORDS: dict[str, tuple[int, ...] | None] = {"gettext": None, "gettextIn": (2,)}
COMPLETE = ("nn", "nb", "en")
DAYS = range(7)
MONTHS = range(1, 13)
PLACEHOLDER = re.compile(r"\{\w+\}")


class IncompleteError(ValueError):
    """A catalogue lacks something; the text names every msgid, its catalogue and where it is used."""


@dataclass(frozen=True)
class Use:
    """Where the apps use a msgid."""

    msgid: str
    file: str
    line: int


def uses(root: Path = ROOT) -> dict[str, Use]:
    """Every msgid in the TypeScript, with the first place where it stands."""
    found: dict[str, Use] = {}
    for source in SOURCES:
        for name, line, message, _, _ in extract_from_dir(
            root / source,
            method_map=[("**.ts", "javascript")],
            options_map={"**.ts": {"parse_template_string": "true"}},
            keywords=KEYWORDS,
        ):
            msgid = message if isinstance(message, str) else message[0]
            found.setdefault(msgid, Use(msgid, f"{source}/{name}", line))
    return found


def catalogues(folder: Path = HERE) -> dict[str, Catalog]:
    """Language code → catalogue, for every language that has a folder."""
    found: dict[str, Catalog] = {}
    for path in sorted(folder.glob("*/LC_MESSAGES/web.po")):
        with path.open("rb") as lines:
            found[path.parts[-3]] = read_po(lines, locale=path.parts[-3], abort_invalid=True)
    return found


def problems(used: dict[str, Use], found: dict[str, Catalog]) -> Iterator[str]:
    """One line each, for a human; none: the build may go on."""
    for language in COMPLETE:
        if language not in found:
            yield f"{language}: there is no {language}/LC_MESSAGES/web.po"
    for language, catalogue in found.items():
        for use in used.values():
            wrong = _wrong_with(catalogue.get(use.msgid), use.msgid, may_lack=language not in COMPLETE)
            if wrong is not None:
                yield f'{language}: {wrong}: "{use.msgid}" ({use.file}:{use.line})'
        if language in COMPLETE:
            for message in catalogue:
                if message.id and message.id not in used:
                    yield f'{language}: used nowhere any more, take it out: "{message.id}"'


def _wrong_with(message: Message | None, msgid: str, *, may_lack: bool) -> str | None:
    if message is None or not message.string:
        return None if may_lack else "not translated"
    if _placeholders(msgid) != _placeholders(message.string):
        return "the names in braces differ"
    if message.fuzzy and not may_lack:
        return "fuzzy, somebody must look at it"
    return None


def _placeholders(text: object) -> set[str]:
    return set(PLACEHOLDER.findall(str(text)))


def as_json(language: str, catalogue: Catalog, used: dict[str, Use]) -> dict[str, object]:
    """What the build puts into the bundles; see devices/web/catalogues.d.ts."""
    locale = Locale.parse(language)
    name = locale.get_display_name(language) or language
    days, months = locale.days["format"]["wide"], locale.months["format"]["wide"]
    return {
        "name": name[:1].upper() + name[1:],
        "direction": locale.text_direction,
        "days": [days[day] for day in DAYS],
        "months": [months[month] for month in MONTHS],
        "messages": {
            str(message.id): str(message.string)
            for message in catalogue
            if message.id in used and message.string and not message.fuzzy
        },
    }


def write(target: Path = TARGET) -> None:
    """Raises IncompleteError. Catalogues of languages that are gone are taken away."""
    used, found = uses(), catalogues()
    wrong = list(problems(used, found))
    if wrong:
        raise IncompleteError("the catalogues in devices/locale are not complete:\n  " + "\n  ".join(wrong))
    target.mkdir(exist_ok=True)
    for old in target.glob("*.json"):
        old.unlink()
    for language, catalogue in found.items():
        text = json.dumps(as_json(language, catalogue, used), ensure_ascii=False, indent=1)
        (target / f"{language}.json").write_text(text + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    if "--missing" in arguments:
        known = catalogues()
        for use in uses().values():
            lacking = " ".join(language for language in known if use.msgid not in known[language])
            if lacking or not known:
                quoted = json.dumps(use.msgid, ensure_ascii=False)
                sys.stdout.write(f'# {lacking}\n#: {use.file}\nmsgid {quoted}\nmsgstr ""\n\n')
        return
    try:
        write()
    except IncompleteError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
