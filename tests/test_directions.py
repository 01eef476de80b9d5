"""The way through the building is the same in every language: floors have the lift's numbers."""

import re
import unicodedata
from typing import Any

import pytest
from ruamel.yaml import YAML

from hub.configuration.shipped import shipped

SHIPPED = ("demo/demo.yaml", "kommunevert.example.yaml")


def numbers(text: str) -> list[int]:
    """In the order in which they stand, whatever the script's digits are."""
    digits = "".join(str(unicodedata.digit(one)) if one.isdigit() else one for one in text)
    return [int(one) for one in re.findall(r"\d+", digits)]


def signposts(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = YAML(typ="safe").load(shipped(name))["plugins"]["checkin"]["signposts"]
    return found


@pytest.mark.parametrize("name", SHIPPED)
def test_a_floor_has_the_lifts_number_in_every_language(name: str) -> None:
    for signpost in signposts(name):
        for part in ("floor", "directions"):
            told = {language: numbers(text) for language, text in signpost[part].items()}
            assert len({tuple(one) for one in told.values()}) == 1, (signpost["id"], part, told)
        assert all(len(numbers(text)) == 1 for text in signpost["floor"].values()), signpost["id"]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_directions_lead_to_the_floor_of_the_sign(name: str) -> None:
    for signpost in signposts(name):
        for language, text in signpost["directions"].items():
            assert numbers(text) in ([], numbers(signpost["floor"][language])), (signpost["id"], language)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_sign_is_written_in_the_same_languages(name: str) -> None:
    written = {tuple(sorted(one[part])) for one in signposts(name) for part in ("name", "floor", "directions")}
    assert len(written) == 1
