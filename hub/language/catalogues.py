"""Finds all messages in the code of the hub and of plugins, and checks that the catalogues are complete.

    python -m hub.language.catalogues --check            the hub and the plugins that come with it
    python -m hub.language.catalogues --check FOLDER …   plugins of your own
    python -m hub.language.catalogues --missing          prints what the catalogues lack, ready for the .po files

Messages are literals: `_("…")` in templates, `_("…")`, `translator.text(language, "…")` and `N_("…")` in Python.
nn, nb and en must be complete; other languages are packs that fall back to English. A plugin need not repeat what
the kernel's catalogue has, see hub/language/translation.py.
"""

import argparse
import ast
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Entry
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from hub.language.translation import DOMAIN

HUB = Path(__file__).resolve().parents[1]
PLUGINS = HUB.parent / "plugins"
COMPLETE = ("nn", "nb", "en")
ARGUMENTS = {"_": 0, "gettext": 0, "N_": 0, "text": 1}
"""Functions and methods that take a message → which argument it is."""
NOT_OURS = {"scaffold_files", "migrations", "tests", "static", "node_modules", "__pycache__"}
PLACEHOLDER = re.compile(r"%\(\w+\)s")


class NoLiteralError(ValueError):
    """`N_` is called with something other than a literal; the text says where."""


@dataclass(frozen=True)
class Owner:
    """The hub or a plugin: its messages and its catalogues."""

    name: str
    uses: dict[str, str]
    """Message → its first use, `plugins/checkin/web.py:12`."""
    catalogues: dict[str, Catalog]


def owner(folder: Path) -> Owner:
    """Raises NoLiteralError, SyntaxError (Python) or TemplateSyntaxError."""
    folder = folder.resolve()
    uses: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if NOT_OURS.intersection(inside.parts) or any(part.startswith(".") for part in inside.parts):
            continue
        root = HUB.parent if folder.is_relative_to(HUB.parent) else folder.parent
        place = path.relative_to(root).as_posix()
        for message, line in _messages(path, place):
            uses.setdefault(message, f"{place}:{line}")
    return Owner(folder.name, uses, _catalogues(folder))


def shipped() -> list[Path]:
    return [HUB, *(path.parent for path in sorted(PLUGINS.glob("*/__init__.py")))]


def problems(subject: Owner, kernel: Owner) -> Iterator[str]:
    """The problems of its catalogues, one line each."""
    for language in COMPLETE:
        for message, place in _missing(subject, kernel, language):
            yield f'{subject.name}: {language}: not translated: "{message}" ({place})'
    for language, catalogue in subject.catalogues.items():
        for entry in catalogue:
            message = str(entry.id)
            if not message:
                continue
            used_at = subject.uses.get(message)
            if used_at is None:
                yield f'{subject.name}: {language}: used nowhere any more, take it out: "{message}"'
            elif entry.fuzzy and language in COMPLETE:
                yield f'{subject.name}: {language}: fuzzy, somebody must look at it: "{message}" ({used_at})'
            elif entry.string and not _fits(message, str(entry.string)):
                yield f'{subject.name}: {language}: the %(names)s differ: "{message}" ({used_at})'
        for old in catalogue.obsolete:
            yield f'{subject.name}: {language}: used nowhere any more, take it out: "{old}"'


def missing(subject: Owner, kernel: Owner) -> str:
    """The untranslated messages, by language, in the format of a .po file."""
    output = io.BytesIO()
    for language in COMPLETE:
        catalogue = Catalog(language)
        for message, place in _missing(subject, kernel, language):
            file, _, line = place.rpartition(":")
            catalogue.add(message, locations=[(file, int(line))])
        if len(catalogue):
            output.write(f"# {subject.name}: {language}\n\n".encode())
            write_po(output, catalogue, width=0, omit_header=True)
            output.write(b"\n")
    return output.getvalue().decode()


def _missing(subject: Owner, kernel: Owner, language: str) -> Iterator[tuple[str, str]]:
    """Untranslated messages, with their place. Fuzzy ones are not included; `problems` reports them."""
    for message, place in subject.uses.items():
        own, shared = (_entry(each, language, message) for each in (subject, kernel))
        if not (own and (own.string or own.fuzzy)) and not (shared and shared.string and not shared.fuzzy):
            yield message, place


def _entry(subject: Owner, language: str, message: str) -> Entry | None:
    return subject.catalogues[language].get(message) if language in subject.catalogues else None


def _fits(message: str, translated: str) -> bool:
    """Whether the placeholders are the same, without a stray %, which would fail to format."""
    names = set(PLACEHOLDER.findall(message))
    stray = "%" in PLACEHOLDER.sub("", translated).replace("%%", "")
    return names == set(PLACEHOLDER.findall(translated)) and not (names and stray)


def _catalogues(folder: Path) -> dict[str, Catalog]:
    catalogues: dict[str, Catalog] = {}
    for path in sorted(folder.glob(f"locale/*/LC_MESSAGES/{DOMAIN}.po")):
        language = path.parts[-3]
        with path.open("rb") as file:
            catalogues[language] = read_po(file, locale=language, abort_invalid=True)
    return catalogues


def _messages(path: Path, place: str) -> Iterator[tuple[str, int]]:
    if path.suffix == ".py":
        yield from _python_messages(path.read_text(encoding="utf-8"), place)
    elif "templates" in path.parts and path.is_file():
        options = {"trim_blocks": "true", "silent": "false"}
        for line, message, _, _ in extract_from_file("jinja2", path, keywords={"_": None}, options=options):
            yield message if isinstance(message, str) else message[0], line


def _python_messages(source: str, place: str) -> Iterator[tuple[str, int]]:
    """By `ast`, since Babel's extractor does not find messages in f-strings before Python 3.12."""
    for node in ast.walk(ast.parse(source, place)):
        if not isinstance(node, ast.Call):
            continue
        name = str(getattr(node.func, "id", None) or getattr(node.func, "attr", None))
        index = ARGUMENTS.get(name)
        if index is None or len(node.args) <= index:
            continue
        message = node.args[index]
        if isinstance(message, ast.Constant) and isinstance(message.value, str):
            yield message.value, node.lineno
        elif name == "N_":
            raise NoLiteralError(f"{place}:{node.lineno}: N_ marks a literal string; fill values in afterwards")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m hub.language.catalogues", description="Check the words of the pages."
    )
    parser.add_argument("--check", action="store_true", help="say what is wrong; this is what it does by itself")
    parser.add_argument("--missing", action="store_true", help="print what is missing, ready for a .po file")
    parser.add_argument(
        "folder", nargs="*", type=Path, help="plugins of your own (default: all that come with the hub)"
    )
    options = parser.parse_args(arguments)
    for folder in options.folder:
        if not (folder / "__init__.py").is_file():
            parser.error(f"{folder} is no plugin: it has no __init__.py")
    kernel = owner(HUB)
    try:
        owners = [owner(folder) for folder in options.folder or shipped()]
    except NoLiteralError as error:
        sys.exit(str(error))
    if options.missing:
        sys.stdout.write("".join(missing(subject, kernel) for subject in owners))
        return
    wrong = [problem for subject in owners for problem in problems(subject, kernel)]
    if wrong:
        sys.exit("the catalogues are not complete:\n  " + "\n  ".join(wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
