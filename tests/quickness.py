"""`make quick`: the tests that start no program. Most are found by the fixtures that they ask for; the rest says `slow`.

In a run of these alone, a test that starts a program after all fails where it does.
"""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

WITH_PROGRAMS = frozenset({"settings", "postgres", "own_postgres", "slapd", "broker", "browser", "playwright"})
"""Fixtures that start a broker, a database, a directory or a browser, or are for a hub that does."""
MARKED = frozenset({"alone", "browser", "fault", "slow"})
STARTS = frozenset({"subprocess.Popen", "os.posix_spawn"})


@pytest.hookimpl(tryfirst=True)  # before pytest's own, which chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_quick(item):
            item.add_marker(pytest.mark.quick)


def is_quick(item: pytest.Item) -> bool:
    fixtures: list[str] = getattr(item, "fixturenames", [])
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return (
        WITH_PROGRAMS.isdisjoint(fixtures)
        and MARKED.isdisjoint(mark.name for mark in item.iter_markers())
        and "postgresql" not in given
    )


class _Watched:
    item: pytest.Item | None = None


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "quick":
        sys.addaudithook(_forbid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _Watched.item = item
    try:
        return (yield)
    finally:
        _Watched.item = None


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if event in STARTS and _Watched.item is not None:
        raise AssertionError(f"{_Watched.item.nodeid} starts {arguments[0]}: mark it `slow`")
