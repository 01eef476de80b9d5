"""Failures that nobody waits for are told in one line each, without what they say, and not by the thousand."""

import asyncio
import gc

import pytest

from hub.hooks.strays import strays_told


async def _fails(text: str) -> None:
    raise ValueError(text)


async def test_a_thousand_stray_failures_are_a_few_lines_that_say_nothing_personal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with strays_told():
        for _ in range(1000):
            asyncio.get_running_loop().create_task(_fails("Kari Nordmann"))
        await asyncio.sleep(0.05)
        gc.collect()
    said = capsys.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if "stray_failure" in line]
    assert 5 <= len(lines) <= 20
    assert "ValueError" in lines[0]
    assert "test_strays.py:12" in lines[0]
    assert "Kari" not in said.out + said.err
