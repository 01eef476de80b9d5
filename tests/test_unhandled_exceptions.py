"""Failures that nobody waits for are told in one line each, without what they say, and not by the thousand."""

import asyncio
import gc

import pytest

from hub.hooks.unhandled import unhandled_exceptions_logged


async def _fails(text: str) -> None:
    raise ValueError(text)


async def test_a_thousand_unhandled_exceptions_are_a_few_lines_that_say_nothing_personal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with unhandled_exceptions_logged():
        for _ in range(1000):
            asyncio.get_running_loop().create_task(_fails("Kari Nordmann"))
        await asyncio.sleep(0.05)
        gc.collect()
    said = capsys.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if "unhandled_exception" in line]
    assert 5 <= len(lines) <= 20
    assert "ValueError" in lines[0]
    assert "test_unhandled_exceptions.py:12" in lines[0]
    assert "Kari" not in said.out + said.err
