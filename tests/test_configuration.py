"""A wrong configuration names file, line and key, says what was expected, and nothing starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from hub.configuration.settings import Configuration, ConfigurationError
from hub.configuration.shipped import shipped
from hub.hub import Hub

GOOD = """\
site:
  id: raadhus
  languages: [nn, nb]
plugins:
  directory:
    source:
      kind: ldif
      file: people.ldif
"""


def mistakes(text: str, folder: Path) -> list[str]:
    path = folder / "kommunevert.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        Hub(Configuration.read(path))
    assert not (folder / "data").exists()
    return [mistake.replace(str(path), "FILE") for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("wrong", "line", "key", "says"),
    [
        (GOOD.replace("  id:", "  idd:"), 2, "site.idd", "did you mean `id`?"),
        (GOOD.replace("raadhus", "råd hus"), 2, "site.id", "only the signs A-Z"),
        (GOOD + "web:\n  port: 99999\n", 10, "web.port", "must be at most 65535, found 99999"),
        (GOOD + "web:\n  port: mange\n", 10, "web.port", "must be a whole number, found 'mange'"),
        (GOOD + "brokr: {}\n", 9, "brokr", "did you mean `broker`?"),
        (GOOD + "broker:\n  kind: external\n  host: b\n", 9, "broker.secret_file", "must be given"),
        (GOOD + "broker:\n  kind: rented\n", 10, "broker.kind", "must be one of own, external, found 'rented'"),
        (GOOD + "store:\n  url: mysql://x\n", 10, "store.url", "is no database"),
        (GOOD.replace("[nn, nb]", "[]"), 3, "site.languages", "must not be empty"),
        (GOOD + "  chekin: {}\n", 9, "plugins.chekin", "there is no such plugin; installed: checkin, directory"),
        (GOOD + "  checkin:\n    keep_hours: -1\n", 10, "plugins.checkin.keep_hours", "must be more than 0, found -1"),
        (GOOD + "  checkin:\n    keep_hors: 1\n", 10, "plugins.checkin.keep_hors", "did you mean `keep_hours`?"),
        (GOOD.replace("kind: ldif", "kind: xml"), 7, "plugins.directory.source.kind", "ldap, ldif"),
        (GOOD + "  notify:\n    webhooks: ['htp:/x']\n", 10, "plugins.notify.webhooks", "number 1 is no address"),
        (
            GOOD + "calendar:\n  hours:\n    monday: ['9-15']\n",
            11,
            "calendar.hours.monday",
            "09:00-15:30",
        ),
        (GOOD + "  signage:\n    hours: {}\n", 9, "plugins.signage", "under `calendar: hours:` now"),
        (GOOD + "web:\n  tls: {certificate: a.pem, key: b.pem}\n", 10, "web.tls", "there is no file"),
        (GOOD + "site:\n", 9, "", "duplicate key"),
        ("site: [", 1, "", "not YAML"),
        ("hei", 1, "", "expected sections"),
    ],
)
def test_a_mistake_is_named(wrong: str, line: int, key: str, says: str, tmp_path: Path) -> None:
    found = mistakes(wrong, tmp_path)
    assert len(found) == 1
    assert found[0].startswith(f"FILE:{line}: {key}"), found[0]
    assert says in found[0], found[0]


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    wrong = GOOD + "  checkin:\n    keep_hours: 0\n  locks:\n    pulse_seconds: 99\n"
    assert len(mistakes(wrong, tmp_path)) == 2
    ldap = GOOD.replace("ldif\n      file: people.ldif", "ldap\n      url: x")
    found = mistakes(ldap, tmp_path)
    assert found[0].startswith("FILE:8: plugins.directory.source.url: is no address of a directory server")
    assert found[1:] == ["FILE:6: plugins.directory.source: `kind: ldap` needs `bind_dn`, `secret_file`, `base`"]


def test_norway_is_not_false(tmp_path: Path) -> None:
    path = tmp_path / "kommunevert.yaml"
    path.write_text(GOOD.replace("[nn, nb]", "[no, nn]"))
    assert Configuration.read(path).hub.site.languages == ("no", "nn")


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kommunevert.yaml"
    path.write_text(GOOD)
    assert Configuration.read(path).hub.data == tmp_path / "data"


@pytest.mark.slow
def test_the_program_says_it_and_starts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kommunevert.yaml"
    path.write_text(GOOD + "web:\n  port: 0\n")
    done = subprocess.run(
        [sys.executable, "-m", "hub", "run", "--config", path], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert f"{path}:10: web.port" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_the_example_shows_everything_and_is_right(tmp_path: Path) -> None:
    """Every setting of the kernel and of our plugins stands in the example, and the example is a good configuration."""
    text = shipped("kommunevert.example.yaml").read_text()
    (tmp_path / "secrets").mkdir()
    configuration = Configuration(text, "example", tmp_path)
    hub = Hub(configuration)

    def names(model: type) -> set[str]:
        return set(model.model_fields)  # type: ignore[attr-defined]

    for plugin in hub.host.plugins.values():
        assert plugin.module is not None
        missing = {name for name in names(plugin.module.Plugin.settings_model) if f"{name}:" not in text}
        assert not missing, f"{plugin.name}: {missing}"
    assert not {name for name in names(type(configuration.hub)) if f"{name}:" not in text}
