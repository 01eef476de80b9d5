"""The words: every message of the hub and its plugins stands in nn, nb and en, and the check finds what does not."""

import re
from pathlib import Path

import pytest

from hub.language.catalogues import HUB, main, owner, problems, shipped
from hub.language.translation import Translator

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
CODE = """
from hub.plugin import N_

def greeting(text, language):
    return f"<p>{text(language, 'Good morning, %(name)s', name='Kari')}</p>"

TITLE = N_("Coffee")
"""


@pytest.fixture
def coffee(tmp_path):
    """A third party's plugin, complete in all three languages."""
    folder = tmp_path / "coffee"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").write_text(CODE)
    (folder / "templates" / "coffee.html").write_text('<h1>{{ _("Coffee") }}</h1>\n<p>{{ _("Log in") }}</p>\n')
    for language, words in {
        "nn": {"Coffee": "Kaffi", "Good morning, %(name)s": "God morgon, %(name)s"},
        "nb": {"Coffee": "Kaffe", "Good morning, %(name)s": "God morgen, %(name)s"},
        "en": {"Coffee": "Coffee", "Good morning, %(name)s": "Good morning, %(name)s"},
    }.items():
        catalogue(folder, language).parent.mkdir(parents=True)
        entries = "".join(f'msgid "{message}"\nmsgstr "{text}"\n\n' for message, text in words.items())
        catalogue(folder, language).write_text(HEADER + entries)
    return folder


def catalogue(folder: Path, language: str) -> Path:
    return folder / "locale" / language / "LC_MESSAGES" / "messages.po"


def complaint(folder: Path) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["--check", str(folder)])
    assert isinstance(stopped.value.code, str)  # printed, and the process ends with 1
    return stopped.value.code


def change(folder: Path, language: str, old: str, new: str) -> None:
    path = catalogue(folder, language)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("folder", shipped(), ids=lambda folder: folder.name)
def test_what_comes_with_the_hub_is_complete(folder):
    assert list(problems(owner(folder), owner(HUB))) == []


def test_a_third_party_plugin_is_checked_and_may_use_the_kernels_words(coffee):
    main(["--check", str(coffee)])


def test_a_missing_nynorsk_message_fails_the_check(coffee):
    change(coffee, "nn", 'msgid "Coffee"\nmsgstr "Kaffi"\n', "")
    assert 'coffee: nn: not translated: "Coffee" (coffee/__init__.py:7)' in complaint(coffee)
    assert "nb" not in complaint(coffee)


def test_a_language_without_a_catalogue_lacks_everything(coffee):
    catalogue(coffee, "nb").unlink()
    assert complaint(coffee).count("coffee: nb: not translated") == 2


def test_a_message_inside_an_f_string_is_found(coffee):
    change(coffee, "en", 'msgstr "Good morning, %(name)s"', 'msgstr ""')
    assert '"Good morning, %(name)s" (coffee/__init__.py:5)' in complaint(coffee)


def test_a_fuzzy_message_fails(coffee):
    change(coffee, "nb", 'msgid "Coffee"', '#, fuzzy\nmsgid "Coffee"')
    assert 'coffee: nb: fuzzy, somebody must look at it: "Coffee"' in complaint(coffee)


@pytest.mark.parametrize("entry", ['msgid "Tea"\nmsgstr "Te"\n', '#~ msgid "Tea"\n#~ msgstr "Te"\n'])
def test_a_message_that_nobody_uses_fails(coffee, entry):
    catalogue(coffee, "nn").write_text(catalogue(coffee, "nn").read_text() + entry)
    assert 'coffee: nn: used nowhere any more, take it out: "Tea"' in complaint(coffee)


@pytest.mark.parametrize(
    "wrong", ["God morgon, %(namn)s", "God morgon", "%(name)s er 100 % vaken", "God morgon, %(name)"]
)
def test_other_placeholders_fail(coffee, wrong):
    change(coffee, "nn", "God morgon, %(name)s", wrong)
    assert "coffee: nn: the %(names)s differ" in complaint(coffee)


def test_a_mark_around_something_else_than_a_literal_is_refused(coffee):
    (coffee / "__init__.py").write_text('from hub.plugin import N_\nTITLE = N_(f"Coffee {1}")\n')
    assert complaint(coffee).startswith("coffee/__init__.py:2: ")


def test_what_is_missing_is_printed_ready_for_the_catalogue(coffee, capsys):
    change(coffee, "nn", 'msgid "Coffee"\nmsgstr "Kaffi"\n', "")
    main(["--missing", str(coffee)])
    printed = capsys.readouterr().out
    assert re.findall("^# (.*)", printed, re.MULTILINE) == ["coffee: nn"]
    catalogue(coffee, "nn").write_text(
        catalogue(coffee, "nn").read_text() + printed.replace('msgstr ""', 'msgstr "Kaffi"')
    )
    main(["--check", str(coffee)])


def test_a_plugins_own_word_wins_even_when_it_equals_the_message(tmp_path):
    for name, text in (("plugin", "Time"), ("kernel", "Hour")):
        catalogue(tmp_path / name, "en").parent.mkdir(parents=True)
        catalogue(tmp_path / name, "en").write_text(f'{HEADER}msgid "Time"\nmsgstr "{text}"\n')
    translator = Translator([tmp_path / "plugin", tmp_path / "kernel"], ("en",))
    assert translator.text("en", "Time") == "Time"
    assert Translator([tmp_path / "none", tmp_path / "kernel"], ("en",)).text("en", "Time") == "Hour"
